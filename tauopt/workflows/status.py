"""The status of a search: counts of trials, best value, time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from tauopt.durable import lock_holder
from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.paths import output_folder

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class RunningTrial:
    """A trial that has started and not ended."""

    number: int
    report: int
    """Number of its last report."""
    value: float | None
    """Value of the first objective at that report."""
    seconds: float
    """Wall time since its start."""


@dataclass(frozen=True)
class SearchStatus:
    """Status of a search."""

    name: str
    holder: str
    """Process that runs it, for instance `process 4711 on host`; empty if there is none."""
    is_elsewhere: bool
    """Whether its folder is not on this machine, so that the holder is unknown."""
    asked: int
    """Requested number of trials when it last ran."""
    counts: dict[str, int]
    """State -> number of trials; duplicates are counted as `duplicate` only."""
    running: tuple[RunningTrial, ...]
    interrupted: tuple[RunningTrial, ...]
    """Trials that continue when the search is resumed."""
    objectives: tuple[str, ...]
    """Names of the objectives, the first one first."""
    best: float | None
    """The first objective of the best complete trial; of a confirmed one its mean over seeds."""
    front: int
    """Number of complete trials on the Pareto front."""
    confirming: int
    """Trainings on other seeds that confirm the best points, ended or not."""
    confirmed: int
    """Those of them that have ended."""
    to_confirm: int
    """Trainings on other seeds that are still to come, at most while trials are left."""
    seconds: float
    """Wall time so far, over all resumes."""
    gpu_seconds: float
    """GPU seconds (GPUs held times wall time) so far, over all resumes."""
    seconds_left: float | None
    """Expected wall time to the end; None until a trial has ended."""


def status(search: str | None = None, *, output: Path | None = None) -> SearchStatus:
    """Return the status of a search.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
    Raises:
        UsageError: no such search.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.study.leaderboard_rows import board_of, state_of
    from tauopt.study.open_study import GPU_SECONDS, SECONDS, TRIALS, goals_of
    from tauopt.study.search_setup import LOCK, is_at_rest, search_folder
    from tauopt.study.trial_attributes import CONFIRMS, DUPLICATE_OF, is_of_search

    output_path = output_folder(output).absolute()
    study = find_study(search, output=output_path)
    folder = search_folder(output_path, study.study_name)
    is_alive = not is_at_rest(folder)
    trials = study.get_trials(deepcopy=False)
    different = [t for t in trials if is_of_search(t)]
    confirming = [t for t in trials if CONFIRMS in t.user_attrs]
    counts = Counter(state_of(t, is_alive=is_alive) for t in different)
    if duplicates := sum(DUPLICATE_OF in t.user_attrs for t in trials):
        counts["duplicate"] = duplicates
    goals = goals_of(study)
    board = board_of(study, folder, is_alive=is_alive)
    asked = int(study.user_attrs.get(TRIALS, len(different)))
    ended = sum(t.state.is_finished() for t in different)
    confirmed = sum(t.state.is_finished() for t in confirming)
    left = max(asked - ended, 0)
    to_confirm = _still_to_confirm(study, searching=left > 0) + len(confirming) - confirmed
    trained = [*different, *confirming]
    started = tuple(_running(t) for t in trained if t.state.name == "RUNNING")
    seconds = float(study.user_attrs.get(SECONDS, 0.0))
    return SearchStatus(
        name=study.study_name,
        holder=lock_holder(folder / LOCK),
        is_elsewhere=not folder.is_dir(),
        asked=asked,
        counts=dict(counts),
        running=started if is_alive else (),
        interrupted=() if is_alive else started,
        objectives=tuple(goal.name for goal in goals),
        best=board[0].estimate[0] if board and board[0].rank else None,
        front=sum(row.front == 1 for row in board),
        confirming=len(confirming),
        confirmed=confirmed,
        to_confirm=to_confirm,
        seconds=seconds,
        gpu_seconds=float(study.user_attrs.get(GPU_SECONDS, 0.0)),
        seconds_left=_seconds_left(different, confirming, left, to_confirm, seconds),
    )


def _still_to_confirm(study: optuna.Study, *, searching: bool) -> int:
    """Return the trainings that confirm points and are not enqueued yet, at most if searching."""
    from tauopt.study.confirm_stage import missing_confirmations
    from tauopt.study.control_requests import requested_confirmation

    settings = requested_confirmation(study)
    if settings is None:
        return 0
    return (
        settings.top * settings.seeds if searching else len(missing_confirmations(study, settings))
    )


def _seconds_left(
    different: Sequence[FrozenTrial],
    confirming: Sequence[FrozenTrial],
    left: int,
    to_confirm: int,
    seconds: float,
) -> float | None:
    """Return the wall time to the end, from the time of a trial and of a whole training so far."""
    ended = [trial for trial in (*different, *confirming) if trial.state.is_finished()]
    times = [_duration(trial) for trial in ended]
    if not seconds or not sum(times):
        return None
    whole = [_duration(trial) for trial in ended if trial.state.name == "COMPLETE"]
    searched = [_duration(trial) for trial in different if trial.state.is_finished()]
    at_once = sum(times) / seconds
    return (left * fmean(searched or times) + to_confirm * fmean(whole or times)) / at_once


def _duration(trial: FrozenTrial) -> float:
    """Return the wall time in s of a trial that has ended."""
    return trial.duration.total_seconds() if trial.duration else 0.0


def _running(trial: FrozenTrial) -> RunningTrial:
    report = trial.last_step or 0
    start = trial.datetime_start
    return RunningTrial(
        number=trial.number,
        report=report,
        value=trial.intermediate_values.get(report),
        seconds=(datetime.now() - start).total_seconds() if start else 0.0,
    )
