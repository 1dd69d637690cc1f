"""Remove the weights of trials outside the best ones; their metrics and figures stay."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.durable import lock_holder
from tauopt.errors import LockedError
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import output_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tauopt.study.leaderboard_rows import LeaderboardRow

_ENDED = ("COMPLETE", "PRUNED", "FAIL")
KEEP = 5
"""Number of best trials of a search whose weights stay."""


@dataclass(frozen=True)
class TrialWeights:
    """The weights of one trial."""

    trial: str
    run_id: str
    files: tuple[Path, ...]
    """Files of the trial's folder."""
    bytes: int
    in_mlflow: bool
    """Whether its MLflow run holds a model."""
    pruned: bool = False
    """Whether the trial was pruned: without its weights it can't be continued."""


@dataclass(frozen=True)
class RemovedWeights:
    """Weights that were removed, or would be."""

    search: str
    kept: dict[str, str]
    """Trial -> reason why its weights stay."""
    items: tuple[TrialWeights, ...]
    removed: bool

    @property
    def bytes(self) -> int:
        """Size of the files in the trials' folders; that of models in MLflow is not counted."""
        return sum(item.bytes for item in self.items)


def gc(
    search: str | None = None,
    *,
    keep: int = KEEP,
    remove: bool = False,
    output: Path | None = None,
    progress: Progress | None = None,
) -> RemovedWeights:
    """Find, and on request remove, the weights of a search's trials outside the best ones.

    The weights of the best `keep` trials, of the Pareto front, of registered models, and of trials
    that have not ended stay. Of pruned trials all checkpoints go, without which they can be neither
    evaluated nor continued.

    Args:
        search: its name; None means the latest one.
        keep: number of best trials whose weights stay.
        remove: remove the weights; else only list them.
        output: output folder; None means `tauopt-output`.
        progress: receives a message for each trial.
    Raises:
        UsageError: no such search.
        LockedError: a process runs it.
        ServiceError: MLflow does not answer.
    """
    from tauopt.study.search_setup import LOCK, search_folder
    from tauopt.tracking.client import connect
    from tauopt.workflows.leaderboard import find_study, leaderboard

    progress = progress or Silent()
    output_path = output_folder(output).absolute()
    name = find_study(search, output=output_path).study_name
    folder = search_folder(output_path, name)
    if holder := lock_holder(folder / LOCK):
        raise LockedError(f"search {name!r} is held by {holder}: stop it first, or wait for it")
    client = connect(None, output=output_path)
    rows = leaderboard(name, output=output_path).rows
    board = [row for row in rows if row.duplicate_of is None]  # a duplicate has no weights
    kept = {
        f"t{row.number:03d}": reason for row in board if (reason := _why_kept(client, row, keep))
    }
    kept = _of_confirmed_points(board) | kept
    items = tuple(_removable(client, board, kept, folder))
    for item in items if remove else ():
        progress.say(f"removing the weights of {item.trial}")
        _remove(client, item)
    return RemovedWeights(name, kept, items, removed=remove)


def _of_confirmed_points(board: Sequence[LeaderboardRow]) -> dict[str, str]:
    """Return the trainings of which one would be promoted: trial -> reason why its weights stay.

    As long as trainings are left that confirm a point, it may be any of its trainings.
    """
    chosen = [row.confirmed.chosen for row in board if row.confirmed]
    if any(row.confirms is not None and row.state not in _ENDED for row in board):
        again = [row for row in board if row.confirms is not None]
        chosen += [number for row in again for number in (row.number, row.confirms or 0)]
    return {f"t{number:03d}": "of a confirmed point" for number in chosen}


def _why_kept(client: MlflowClient, row: LeaderboardRow, keep: int) -> str:
    """Return the reason why a trial's weights stay; empty if they can be removed."""
    if row.state not in _ENDED:
        return "has not ended"
    if 0 < row.rank <= keep:
        return f"rank {row.rank}"
    if row.front == 1:
        return "on the front"
    from tauopt.tracking.run_artifacts import registered_as

    return registered_as(client, row.run_id) if row.run_id else ""


def _removable(
    client: MlflowClient, board: Sequence[LeaderboardRow], kept: dict[str, str], folder: Path
) -> Iterator[TrialWeights]:
    """Yield the weights of the trials of a leaderboard that are not kept."""
    from tauopt.tracking.run_artifacts import has_model
    from tauopt.training.trial_plan import CHECKPOINTS, MODEL, PREDICTIONS, trial_folder

    for row in board:
        trial = f"t{row.number:03d}"
        if trial in kept:
            continue
        names = (MODEL, PREDICTIONS, CHECKPOINTS)
        paths = [trial_folder(folder, row.number) / name for name in names]
        files = tuple(path for path in paths if path.exists())
        in_mlflow = bool(row.run_id) and has_model(client, row.run_id)
        if files or in_mlflow:
            yield TrialWeights(
                trial,
                row.run_id,
                files=files,
                bytes=sum(map(_size, files)),
                in_mlflow=in_mlflow,
                pruned=row.state == "PRUNED",
            )


def _size(path: Path) -> int:
    """Return the size in bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(client: Any, item: TrialWeights) -> None:
    from tauopt.tracking.run_artifacts import remove_model

    # MLflow first: as long as the files are there, another call completes an interrupted one.
    if item.in_mlflow:
        remove_model(client, item.run_id, why="weights removed by tauopt gc")
    for path in item.files:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
