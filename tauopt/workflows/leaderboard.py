"""The leaderboard: trials of a search, best first."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import UsageError
from tauopt.workflows.paths import BATCH, output_folder

if TYPE_CHECKING:
    import optuna

    from tauopt.config.settings.objective import Goal
    from tauopt.study.leaderboard_rows import LeaderboardRow


@dataclass(frozen=True)
class Leaderboard:
    """Ranked trials of one search."""

    name: str
    goals: tuple[Goal, ...]
    """The objectives, the first one first."""
    rows: tuple[LeaderboardRow, ...] = field(repr=False)
    varying: tuple[str, ...]
    """Paths of the parameters that differ between trials."""


def leaderboard(search: str | None = None, *, output: Path | None = None) -> Leaderboard:
    """Return the trials of a search, best first.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
    Raises:
        UsageError: no such search.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.study.leaderboard_rows import board_of, varying
    from tauopt.study.open_study import goals_of
    from tauopt.study.search_setup import is_at_rest, search_folder

    output_path = output_folder(output).absolute()
    study = find_study(search, output=output_path)
    goals = goals_of(study)
    folder = search_folder(output_path, study.study_name)
    board = board_of(study, folder, is_alive=not is_at_rest(folder))
    return Leaderboard(
        name=study.study_name,
        goals=tuple(goals),
        rows=tuple(board),
        varying=tuple(varying(board)),
    )


def find_study(search: str | None, *, output: Path) -> optuna.Study:
    """Open the study of a search, or of the latest one.

    Raises:
        UsageError: no such search, or none at all; names the batch job that was written for it.
    """
    from tauopt.study.open_study import latest_study, open_study
    from tauopt.study.study_storage import open_storage

    try:
        storage = open_storage(output, create=False)
        name = search or latest_study(storage)
        if name is None:
            raise UsageError(f"no searches yet in {output}; begin one: tauopt search FILE")
        return open_study(storage, name)
    except UsageError as error:
        if hint := _job_hint(search, output=output):
            raise UsageError(f"{error}; {hint}") from None
        raise


def _job_hint(search: str | None, *, output: Path) -> str:
    """Return a hint to the batch job of a search without a study; empty if there is no job."""
    scripts = (output / BATCH).glob("*/job.sh")
    jobs = [path for path in scripts if search in (None, path.parent.name)]
    if not jobs:
        return ""
    folder = max(jobs, key=lambda path: path.stat().st_mtime).parent
    return (
        f"there is a job for {folder.name} in {folder}: if it was submitted it waits in the queue "
        "(squeue, condor_q) or has just begun; its log is in that folder"
    )
