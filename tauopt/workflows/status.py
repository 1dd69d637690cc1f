"""How a search stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.paths import output_folder

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class RunningTrial:
    """A trial that has begun and not ended."""

    number: int
    report: int
    value: float | None
    """The first objective, at that report."""
    seconds: float


@dataclass(frozen=True)
class SearchStatus:
    """How a search stands."""

    name: str
    holder: str
    """Who runs it, for instance `process 4711 on host`; empty if nobody does."""
    is_elsewhere: bool
    """Whether its folder is not on this machine, and so who runs it is not seen."""
    asked: int
    """Trials asked for when it last ran."""
    counts: dict[str, int]
    """State -> trials; duplicates by themselves as `duplicate`."""
    running: tuple[RunningTrial, ...]
    interrupted: tuple[RunningTrial, ...]
    """Trials that go on when the search does."""
    objectives: tuple[str, ...]
    """Their names, the first one first."""
    best: float | None
    """The largest value of the first objective."""
    front: int
    """Complete trials that no other one surpasses."""
    seconds: float
    """Wall time so far, over all resumes."""
    gpu_seconds: float
    """GPUs held times seconds so far, likewise."""
    seconds_left: float | None
    """Expected wall time to the end; None while nothing is known."""


def status(search: str | None = None, *, output: Path | None = None) -> SearchStatus:
    """Say how a search stands.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
    Raises:
        UsageError: no such search.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.study.leaderboard_rows import fronts_of, state_of
    from tauopt.study.open_study import GPU_SECONDS, SECONDS, TRIALS, goals_of
    from tauopt.study.search_setup import LOCK, search_folder
    from tauopt.study.trial_queue import DUPLICATE_OF

    place = output_folder(output).absolute()
    study = find_study(search, output=place)
    folder = search_folder(place, study.study_name)
    is_alive = not is_at_rest(folder)
    trials = study.get_trials(deepcopy=False)
    own = [t for t in trials if DUPLICATE_OF not in t.user_attrs]
    counts = Counter(state_of(t, is_alive=is_alive) for t in own)
    if len(own) < len(trials):
        counts["duplicate"] = len(trials) - len(own)
    goals = goals_of(study)
    fronts = fronts_of(own, goals)
    values = [t.values[0] for t in own if t.number in fronts]
    asked = int(study.user_attrs.get(TRIALS, len(own)))
    ended = sum(t.state.is_finished() for t in own)
    begun = tuple(_running(t) for t in own if t.state.name == "RUNNING")
    seconds = float(study.user_attrs.get(SECONDS, 0.0))
    return SearchStatus(
        name=study.study_name,
        holder=lock_holder(folder / LOCK),
        is_elsewhere=not folder.is_dir(),
        asked=asked,
        counts=dict(counts),
        running=begun if is_alive else (),
        interrupted=() if is_alive else begun,
        objectives=tuple(goal.name for goal in goals),
        best=max(values, default=None),
        front=list(fronts.values()).count(1),
        seconds=seconds,
        gpu_seconds=float(study.user_attrs.get(GPU_SECONDS, 0.0)),
        seconds_left=seconds / ended * max(asked - ended, 0) if ended and seconds else None,
    )


def is_at_rest(folder: Path) -> bool:
    """Say whether no trial of a search can be running; False where that is not seen from here."""
    from tauopt.study.search_setup import LOCK

    return folder.is_dir() and not lock_holder(folder / LOCK)


def _running(trial: FrozenTrial) -> RunningTrial:
    report = trial.last_step or 0
    begun = trial.datetime_start
    return RunningTrial(
        number=trial.number,
        report=report,
        value=trial.intermediate_values.get(report),
        seconds=(datetime.now() - begun).total_seconds() if begun else 0.0,
    )


def lock_holder(path: Path) -> str:
    """Say who holds a kernel lock; empty if nobody does. Leaves the lock as it is."""
    import fcntl

    try:
        stream = path.open("r")
    except FileNotFoundError:
        return ""
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return stream.read().strip() or "unknown process"
    return ""
