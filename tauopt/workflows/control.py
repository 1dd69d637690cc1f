"""Stop, resume or extend a search from another shell, or another machine."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import ServiceError, UsageError
from tauopt.progress import Progress, Silent
from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.paths import output_folder
from tauopt.workflows.status import lock_holder

if TYPE_CHECKING:
    import optuna

    from tauopt.study.search_events import SearchEvent
    from tauopt.workflows.search import SearchResult

PATIENCE_S = 60.0
"""How long a driver may take to do what is asked: its trials write checkpoints first."""
_LOOK_S = 0.2


@dataclass(frozen=True)
class ControlOutcome:
    """What became of a search that was asked for something."""

    name: str
    holder: str
    """Who runs it, or ran it until now; empty if nobody did."""
    told: str
    """What happened, in a sentence."""
    resume: str
    """The command that goes on with it."""


@dataclass(frozen=True)
class _Search:
    """A search as it stands."""

    study: optuna.Study
    lock: Path
    resume: str

    @property
    def name(self) -> str:
        return str(self.study.study_name)

    @property
    def holder(self) -> str:
        return lock_holder(self.lock)

    @property
    def is_elsewhere(self) -> bool:
        """Whether its folder can't be seen from here, and so who runs it neither."""
        return not self.lock.parent.is_dir()


def _found(search: str | None, output: Path | None) -> _Search:
    from tauopt.study.search_setup import LOCK, search_folder

    place = output_folder(output).absolute()
    study = find_study(search, output=place)
    words = ["tauopt", "resume", study.study_name, *(["-o", str(output)] if output else [])]
    return _Search(study, search_folder(place, study.study_name) / LOCK, shlex.join(words))


def stop(
    search: str | None = None,
    *,
    output: Path | None = None,
    wait_s: float = PATIENCE_S,
    progress: Progress | None = None,
) -> ControlOutcome:
    """Stop a search as Ctrl-C in its own shell does: trials write checkpoints, runs are ended.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
        wait_s: how long to wait until it has stopped.
        progress: is told what is waited for.
    Raises:
        UsageError: no such search, or nobody runs it.
        ServiceError: it has not stopped in time, or the studies' database can't be used.
    """
    from tauopt.study.control_requests import send_request

    found = _found(search, output)
    holder = found.holder
    if not holder and not found.is_elsewhere:
        raise UsageError(f"nobody runs {found.name}; go on with it: {found.resume}")
    send_request(found.study, "stop")
    if found.is_elsewhere:
        told = "asked to stop; its folder is not on this machine, so nobody here sees when it does"
        return ControlOutcome(found.name, "", told, found.resume)
    (progress or Silent()).say(f"waiting for {holder} to stop")
    give_up = time.monotonic() + wait_s
    while found.holder:
        if time.monotonic() > give_up:
            raise ServiceError(
                f"{holder} was asked to stop and has not within {wait_s:g} s; it may still do "
                "it. If it hangs, kill it: nothing is lost"
            )
        time.sleep(_LOOK_S)
    return ControlOutcome(found.name, holder, f"{holder} has stopped", found.resume)


def resume(
    search: str | None = None,
    *,
    output: Path | None = None,
    progress: Progress | None = None,
    on_event: Callable[[SearchEvent], None] | None = None,
) -> SearchResult:
    """Go on with a search that nobody runs: drive it here.

    It goes on with the experiment that it recorded, its data and its overrides.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
        progress: is told of preparation.
        on_event: is told of every trial's start, reports and end.
    Returns:
        what came of it.
    Raises:
        UsageError: no such search, it runs already, or its record is gone.
        Other errors as `tauopt.workflows.search.search`.
    """
    from tauopt.study.reseeded_points import RESEEDED_SEARCH
    from tauopt.study.trial_runs import EXPERIMENT
    from tauopt.workflows.search import search as run

    found = _found(search, output)
    if holder := found.holder:
        raise UsageError(f"{found.name} runs already: {holder}")
    if of := found.study.user_attrs.get(RESEEDED_SEARCH):
        raise UsageError(f"{found.name} trains points of {of} again: tauopt reseed {of} goes on")
    record = found.lock.parent / EXPERIMENT
    if not record.is_file():
        raise UsageError(
            f"{record} is gone, which said what to search: tauopt search FILE --resume "
            f"--name {found.name}"
        )
    return run(
        record,
        name=found.name,
        output=output,
        resume=True,
        command=found.resume,
        progress=progress,
        on_event=on_event,
    )


def extend(
    search: str | None = None,
    *,
    trials: int | None = None,
    hours: float | None = None,
    gpu_hours: float | None = None,
    output: Path | None = None,
) -> ControlOutcome:
    """Give a search more trials or a larger budget; one that runs takes it at once.

    Args:
        search: its name; None means the latest one.
        trials: in all.
        hours, gpu_hours: of its budget in all, if it has one.
        output: output folder; None means `tauopt-output`.
    Raises:
        UsageError: no such search, or it has as much already.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.study.control_requests import extend as give
    from tauopt.study.open_study import TRIALS
    from tauopt.study.reseeded_points import RESEEDED_SEARCH

    limits = {"trials": trials, "hours": hours, "gpu_hours": gpu_hours}
    wanted = {name: limit for name, limit in limits.items() if limit is not None}
    if not wanted:
        raise UsageError("expected --trials, --hours or --gpu-hours: in all, not in addition")
    found = _found(search, output)
    if of := found.study.user_attrs.get(RESEEDED_SEARCH):
        raise UsageError(f"{found.name} trains points of {of} again: tauopt reseed {of} --seeds N")
    present = int(found.study.user_attrs.get(TRIALS, 0))
    if trials is not None and trials <= present:
        raise UsageError(
            f"{found.name} has {present} trials already, expected more with --trials, got {trials}"
        )
    give(found.study, **wanted)
    words = ", ".join(f"{limit:g} {name.replace('_', ' ')}" for name, limit in wanted.items())
    holder = found.holder
    told = f"{words} in all; " + (
        f"{holder} takes it within seconds" if holder else "taken when it goes on"
    )
    return ControlOutcome(found.name, holder, told, "" if holder else found.resume)
