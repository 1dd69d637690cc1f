"""Remove the weights of trials that nobody will ask for; numbers and figures stay."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.errors import LockedError
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import output_folder
from tauopt.workflows.status import lock_holder

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tauopt.study.leaderboard_rows import LeaderboardRow

KEEP = 5
"""Trials of a search whose weights stay, the best ones."""


@dataclass(frozen=True)
class TrialWeights:
    """The weights of one trial."""

    trial: str
    run_id: str
    files: tuple[Path, ...]
    """Of the trial's folder."""
    bytes: int
    in_mlflow: bool
    """Whether its run holds a model."""


@dataclass(frozen=True)
class RemovedWeights:
    """What was, or would be, removed."""

    search: str
    kept: dict[str, str]
    """Trial -> why its weights stay."""
    items: tuple[TrialWeights, ...]
    removed: bool

    @property
    def bytes(self) -> int:
        """Of the trials' folders; those in MLflow come to it."""
        return sum(item.bytes for item in self.items)


def gc(
    search: str | None = None,
    *,
    keep: int = KEEP,
    remove: bool = False,
    output: Path | None = None,
    progress: Progress | None = None,
) -> RemovedWeights:
    """Find, and if asked remove, the weights of a search's trials outside the best ones.

    What stays: the best `keep`, the Pareto front, what is registered, and what has not ended.

    Args:
        search: its name; None means the latest one.
        keep: trials whose weights stay, the best ones.
        remove: do it; else it is only told.
        output: output folder; None means `tauopt-output`.
        progress: is told of every trial.
    Raises:
        UsageError: no such search.
        LockedError: somebody runs it.
        ServiceError: MLflow does not answer.
    """
    from tauopt.study.search_setup import LOCK, search_folder
    from tauopt.tracking.client import connect
    from tauopt.workflows.leaderboard import find_study, leaderboard

    progress = progress or Silent()
    place = output_folder(output).absolute()
    name = find_study(search, output=place).study_name
    folder = search_folder(place, name)
    if holder := lock_holder(folder / LOCK):
        raise LockedError(f"search {name!r} is held by {holder}: stop it first, or wait for it")
    client = connect(None, output=place)
    rows = leaderboard(name, output=place).rows
    board = [row for row in rows if row.duplicate_of is None]  # others have no weights of their own
    kept = {f"t{row.number:03d}": why for row in board if (why := _why_kept(client, row, keep))}
    items = tuple(_items(client, board, kept, folder))
    for item in items if remove else ():
        progress.say(f"removing the weights of {item.trial}")
        _remove(client, item)
    return RemovedWeights(name, kept, items, removed=remove)


def _why_kept(client: MlflowClient, row: LeaderboardRow, keep: int) -> str:
    """Say why a trial's weights stay; empty if they need not."""
    if row.state not in ("COMPLETE", "PRUNED", "FAIL"):
        return "has not ended"
    if 0 < row.rank <= keep:
        return f"rank {row.rank}"
    if row.front == 1:
        return "on the front"
    from tauopt.tracking.run_artifacts import registered_as

    return registered_as(client, row.run_id) if row.run_id else ""


def _items(
    client: MlflowClient, board: Sequence[LeaderboardRow], kept: dict[str, str], folder: Path
) -> Iterator[TrialWeights]:
    from tauopt.tracking.run_artifacts import has_model
    from tauopt.training.trial_plan import CHECKPOINTS, MODEL, PREDICTIONS, trial_folder

    for row in board:
        trial = f"t{row.number:03d}"
        if trial in kept:
            continue
        place = trial_folder(folder, row.number)
        files = [place / name for name in (MODEL, PREDICTIONS, CHECKPOINTS)]
        there = tuple(path for path in files if path.exists())
        in_mlflow = bool(row.run_id) and has_model(client, row.run_id)
        if there or in_mlflow:
            yield TrialWeights(trial, row.run_id, there, sum(map(_size, there)), in_mlflow)


def _size(path: Path) -> int:
    every = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in every if one.is_file())


def _remove(client: Any, item: TrialWeights) -> None:
    """Remove from MLflow first: what is cut short is completed by the next call."""
    from tauopt.tracking.run_artifacts import remove_model

    if item.in_mlflow:
        remove_model(client, item.run_id, why="weights removed by tauopt gc")
    for path in item.files:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
