"""Stop, resume, extend or confirm a search from another shell or another machine."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.durable import lock_holder
from tauopt.errors import ServiceError, UsageError
from tauopt.progress import Progress, Silent
from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.paths import output_folder

if TYPE_CHECKING:
    import optuna

    from tauopt.config.settings.experiment import Confirm, Preference
    from tauopt.config.source.yaml_source import Scalar
    from tauopt.study.search_events import SearchEvent
    from tauopt.workflows.search import SearchResult

PATIENCE_S = 60.0
"""Largest time for a driver to stop: its trials write checkpoints first."""
_POLL_S = 0.2


@dataclass(frozen=True)
class ControlOutcome:
    """Outcome of a request to stop or extend a search."""

    name: str
    holder: str
    """Process that runs it, or ran it until now; empty if there is none."""
    told: str
    """Message on what happened."""
    resume: str
    """Command that resumes it."""


@dataclass(frozen=True)
class _Search:
    """A search: its study, lock and command that resumes it."""

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
        """Whether its folder is not on this machine, so that the lock's holder is unknown."""
        return not self.lock.parent.is_dir()


def _find(search: str | None, output: Path | None) -> _Search:
    from tauopt.study.search_setup import LOCK, search_folder

    output_path = output_folder(output).absolute()
    study = find_study(search, output=output_path)
    words = ["tauopt", "resume", study.study_name, *(["-o", str(output)] if output else [])]
    return _Search(study, search_folder(output_path, study.study_name) / LOCK, shlex.join(words))


def stop(
    search: str | None = None,
    *,
    output: Path | None = None,
    wait_s: float = PATIENCE_S,
    progress: Progress | None = None,
) -> ControlOutcome:
    """Stop a search as Ctrl-C in its own shell does: trials write checkpoints, runs end.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
        wait_s: largest time in s to wait until it has stopped.
        progress: receives a message on the wait.
    Raises:
        UsageError: no such search, or no process runs it.
        ServiceError: it has not stopped in time, or the studies' database can't be used.
    """
    from tauopt.study.control_requests import send_request

    running = _find(search, output)
    holder = running.holder
    if not holder and not running.is_elsewhere:
        raise UsageError(f"no process runs {running.name}; resume it: {running.resume}")
    send_request(running.study, "stop")
    if running.is_elsewhere:
        message = "stop requested; its folder is not on this machine, so nothing here waits for it"
        return ControlOutcome(running.name, "", message, running.resume)
    (progress or Silent()).say(f"waiting for {holder} to stop")
    deadline = time.monotonic() + wait_s
    while running.holder:
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{holder} has not stopped within {wait_s:g} s of the request; it may still do so. "
                "If it hangs, kill it: nothing is lost"
            )
        time.sleep(_POLL_S)
    return ControlOutcome(running.name, holder, f"{holder} has stopped", running.resume)


def resume(
    search: str | None = None,
    *,
    output: Path | None = None,
    accept_changes: bool = False,
    confirm: Confirm | None = None,
    progress: Progress | None = None,
    on_event: Callable[[SearchEvent], None] | None = None,
) -> SearchResult:
    """Resume a search that no process runs: drive it from this process.

    The experiment, its data and its overrides are those that the search recorded.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
        accept_changes: resume although the data or the code changed.
        confirm: request to confirm the best points; None leaves it at what the search has.
        progress: receives the progress of preparation.
        on_event: called with each event of a trial: start, report, end.
    Returns:
        the result of the search.
    Raises:
        UsageError: no such search, it runs already, or its record is missing.
        Other errors as `tauopt.workflows.search.search`.
    """
    from tauopt.study.trial_runs import EXPERIMENT
    from tauopt.workflows.search import search as run

    stopped = _find(search, output)
    if holder := stopped.holder:
        raise UsageError(f"{stopped.name} runs already: {holder}")
    record = stopped.lock.parent / EXPERIMENT
    if not record.is_file():
        raise UsageError(
            f"{record} is missing, the record of what was searched; resume with the experiment "
            f"file: tauopt search FILE --resume --name {stopped.name}"
        )
    return run(
        record,
        name=stopped.name,
        output=output,
        resume=True,
        accept_changes=accept_changes,
        confirm=confirm,
        command=stopped.resume,
        progress=progress,
        on_event=on_event,
    )


def extend(
    search: str | None = None,
    *,
    trials: int | None = None,
    hours: float | None = None,
    gpu_hours: float | None = None,
    points: Sequence[Path | str] = (),
    output: Path | None = None,
) -> ControlOutcome:
    """Give a search more trials, a larger budget or points; a running one takes it within seconds.

    Args:
        search: its name; None means the latest one.
        trials: total number, not the number to add.
        hours, gpu_hours: total of its budget, if it has one.
        points: YAML files of points that are tried before what the sampler proposes. Each point is
            one trial more, unless the search has it already.
        output: output folder; None means `tauopt-output`.
    Raises:
        UsageError: no such search, nothing is given, or it has as many trials, or the points,
            already.
        ConfigError: a file of points is wrong.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.study.control_requests import extend as give
    from tauopt.study.open_study import TRIALS
    from tauopt.study.points_by_hand import send_points

    limits = {"trials": trials, "hours": hours, "gpu_hours": gpu_hours}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if not given and not points:
        raise UsageError(
            "expected --trials, --hours or --gpu-hours (in all, not in addition), or --try"
        )
    extended = _find(search, output)
    present = int(extended.study.user_attrs.get(TRIALS, 0))
    if trials is not None and trials <= present:
        raise UsageError(
            f"{extended.name} has {present} trials already, expected more with --trials, got "
            f"{trials}"
        )
    new, told = _new_points(extended.study, points) if points else ([], [])
    if given:
        give(extended.study, **given)
        totals = (f"{limit:g} {name.replace('_', ' ')}" for name, limit in given.items())
        told.insert(0, f"{', '.join(totals)} in all")
    send_points(extended.study, new)
    holder = extended.holder
    when = f"{holder} takes it within seconds" if holder else "taken when it is resumed"
    resume_command = "" if holder else extended.resume
    return ControlOutcome(extended.name, holder, "; ".join([*told, when]), resume_command)


def _new_points(
    study: optuna.Study, files: Sequence[Path | str]
) -> tuple[list[dict[str, Scalar]], list[str]]:
    """Read points; return those that a search does not have yet, and what to say about them.

    Raises:
        ConfigError: a file is wrong.
        UsageError: the search has all points already.
    """
    from tauopt.config.point_file import read_points
    from tauopt.study.points_by_hand import known_points, space_of
    from tauopt.study.suggest import key

    space, known = space_of(study), known_points(study)
    new: list[dict[str, Scalar]] = []
    repeated: list[str] = []
    for file in files:
        for point in read_points(file, space):
            if key(point) in known:
                number = known[key(point)]
                trial = "one that waits" if number is None else f"t{number:03d}"
                repeated.append(f"a point of {file} is that of {trial}, and is not tried again")
            else:
                new.append(point)
                known[key(point)] = None
    if not new:
        raise UsageError(f"{study.study_name} has nothing new to try: {'; '.join(repeated)}")
    added = "1 point" if len(new) == 1 else f"{len(new)} points"
    return new, [f"{added} to try first, one trial more each", *repeated]


def confirm(
    search: str | None = None,
    *,
    top: int | None = None,
    seeds: int | None = None,
    prefer: Preference | None = None,
    output: Path | None = None,
    accept_changes: bool = False,
    progress: Progress | None = None,
    on_event: Callable[[SearchEvent], None] | None = None,
) -> SearchResult | ControlOutcome:
    """Train the best points of a search again on other seeds, when its trials have ended.

    A search that no process runs is resumed, with the trials that it has left, and then confirmed.
    The same call resumes that; more `seeds` or a larger `top` add to it.

    Args:
        search: its name; None means the latest one.
        top: number of points at most: those tied with the best; None, here and below, means as
            in the search's file or at an earlier request, or else the default.
        seeds: new trainings of each point, at least 2.
        prefer: what is recommended of the points that stay tied: `best`, the one with the lowest
            loss, or `cheapest`, the one with the fewest parameters.
        output: output folder; None means `tauopt-output`.
        accept_changes: confirm although the data or the code changed since the search began.
        progress: receives the progress of preparation.
        on_event: called with each event of a trial: start, report, end.
    Returns:
        the result of the search; of one that a process runs, what was requested.
    Raises:
        UsageError: no such search, or no trial of it has completed.
        Other errors as `tauopt.workflows.search.search`.
    """
    from tauopt.config.settings.experiment import Confirm
    from tauopt.study.best_first import best_first
    from tauopt.study.control_requests import request_confirmation, requested_confirmation

    found = _find(search, output)
    if not found.holder and not best_first(found.study.get_trials(deepcopy=False)):
        raise UsageError(
            f"no trial of {found.name} has completed, so none can be confirmed; go on with it: "
            f"{found.resume}"
        )
    given = {"top": top, "seeds": seeds, "prefer": prefer}
    present = requested_confirmation(found.study) or Confirm()
    changes = {name: value for name, value in given.items() if value is not None}
    settings = Confirm.model_validate(present.model_dump() | changes)
    if found.holder:
        request_confirmation(found.study, settings)
        told = f"{found.holder} confirms the best points when its trials have ended"
        return ControlOutcome(found.name, found.holder, told, "")
    return resume(
        found.name,
        output=output,
        accept_changes=accept_changes,
        confirm=settings,
        progress=progress,
        on_event=on_event,
    )
