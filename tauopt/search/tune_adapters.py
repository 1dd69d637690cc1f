"""Ray Tune's searcher, scheduler and stopper: thin adapters over the study's trial queue.

The searcher gives out the study's trials and ends them. The scheduler passes every report to the
study and stops the trials that its pruner stops. Rungs and history are in the study, so nothing is
lost if the driver is killed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from ray.tune import Stopper
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tauopt.errors import ServiceError
from tauopt.search.out_of_memory import ADVICE, out_of_memory_kills
from tauopt.search.trainable import FAILED, INTERRUPTED, REFUSED, TRACEBACK
from tauopt.study.trial_queue import Proposal, TrialQueue

logger = logging.getLogger(__name__)

FINISHED = str(Searcher.FINISHED)
RETRIES = 2
"""How often a trial is retried from its checkpoint when its worker dies without a new report.

Deaths before its last report do not count: on preemptible nodes a long trial's workers die often.
"""
BeginTrial = Callable[[Proposal], dict[str, Any]]
"""Prepares a proposal for training and returns the configuration for the worker."""
EndTrial = Callable[[int], None]
"""Called with the number of a trial that has ended in the study."""


class StudySearcher(Searcher):
    """Ray Tune searcher over the trial queue; maps Ray's trial ids to the study's numbers."""

    def __init__(
        self, queue: TrialQueue, *, begin: BeginTrial, end: EndTrial, concurrent: Callable[[], int]
    ) -> None:
        super().__init__()
        self.queue = queue
        self.numbers: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.error: Exception | None = None
        self._begin = begin
        self._end = end
        self._concurrent = concurrent
        self._deaths: dict[int, tuple[int, int]] = {}
        self._death_reasons: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial's configuration, FINISHED, or None while no trial may begin."""
        if self.error is not None or self.queue.gives_up():
            return FINISHED
        if len(self.numbers) >= self._concurrent():
            return None
        try:
            proposal = self.queue.next_trial()
            if proposal is None:  # a running trial may be retried
                return None if self.numbers else FINISHED
            config = self._begin(proposal)
        except Exception as error:  # noqa: BLE001 - the driver raises it when Ray has shut down
            self.error = error
            return FINISHED
        self.numbers[trial_id] = proposal.number
        return config

    def died(self, trial_id: str, reason: str) -> bool:
        """Record that a trial's worker died; return whether the trial is retried.

        Ray's own retries can't be used: if a worker that is reused from an earlier trial dies
        before its next trial begins, Ray gives that trial up at once.
        """
        number = self.numbers.get(trial_id)
        if number is None:
            return False
        self._death_reasons[trial_id] = reason
        report = self.queue.last_report(number)
        before, deaths = self._deaths.get(number, (report, 0))
        deaths = deaths + 1 if report == before else 1
        self._deaths[number] = (report, deaths)
        if deaths > RETRIES:
            return False
        del self.numbers[trial_id]
        self.queue.retry(number, reason)
        return True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a trial in the study; Ray passes its last report only here, not to the scheduler."""
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        try:
            result = {} if error else (result or {})
            if INTERRUPTED in result:  # not ended: stays RUNNING, for the next driver
                return
            if REFUSED in result:  # stays RUNNING in the study: a resume takes it up again
                raise ServiceError(f"{result[REFUSED]}; then resume")
            self._end_trial(trial_id, number, result)
            self._end(number)
        except Exception as failure:  # noqa: BLE001 - Ray would only log it
            self.error = self.error or failure

    def _end_trial(self, trial_id: str, number: int, result: dict[str, Any]) -> None:
        if trial_id in self.stopped:
            self.queue.prune(number)
        elif FAILED in result:
            self.queue.fail(number, result[FAILED], traceback=result.get(TRACEBACK, ""))
        elif "value" in result:
            self.queue.complete(
                number,
                result["number"],
                result["value"],
                best=result["best"],
                best_report=result["best_number"],
                paired_value=result["best_paired_value"],
                log_loss=result["best_log_loss"],
                parameters=result["parameters"],
                constraints=result["constraints"],
                others=result["others"],
                intervals={name: ends for name, *ends in result["intervals"]},
                candidates_seen=result["candidates_seen"],
            )
        else:
            self.queue.fail(number, self._death_reasons.get(trial_id, "its worker died"))

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Ray pickles a Tuner to a file, which is never read."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the study is the state."""


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class StudyScheduler(FIFOScheduler):
    """Ray Tune scheduler that passes every report to the study and stops pruned trials."""

    def __init__(self, searcher: StudySearcher) -> None:
        super().__init__()
        self._searcher = searcher
        self._kills = out_of_memory_kills()

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Ray's pickle is never read."""
        return {}

    def on_trial_result(self, controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        """Report to the study; return STOP if the pruner stops the trial."""
        # Ray 2.60 acts on a stopped search before it reads results that came since, so some are of
        # trials that the searcher has dropped; a result of an interrupted trial has no value.
        number = self._searcher.numbers.get(trial.trial_id)
        if number is None or self._searcher.error is not None or INTERRUPTED in result:
            return str(TrialScheduler.CONTINUE)
        try:
            stopped = self._searcher.queue.report(
                number,
                result["number"],
                result["value"],
                paired_value=result["paired_value"],
                candidates_seen=result["candidates_seen"],
            )
        except Exception as error:  # noqa: BLE001 - the driver raises it when Ray has shut down
            self._searcher.error = error
            return str(TrialScheduler.CONTINUE)
        if not stopped:
            return str(TrialScheduler.CONTINUE)
        self._searcher.stopped.add(trial.trial_id)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, controller: Any, trial: RayTrial) -> None:
        """Retry a trial whose worker died, with the reason, such as a kill for lack of memory."""
        reason = _last_error(trial)
        kills = out_of_memory_kills()
        # It is unknown which worker the kernel killed, so the trial is retried like any other.
        if kills > self._kills:
            reason += f"; the kernel has killed for lack of memory here meanwhile: {ADVICE}"
            self._kills = kills
        try:
            self._searcher.died(trial.trial_id, reason)
        except Exception as error:  # noqa: BLE001 - the driver raises it when Ray has shut down
            self._searcher.error = self._searcher.error or error


def _last_error(trial: RayTrial) -> str:
    """Return Ray's message about a worker's death, without headings and colours."""
    try:
        with open(trial.error_file) as stream:
            lines = [line.strip() for line in stream if not line.startswith("Failure #")]
    except (OSError, TypeError):
        return "its worker died"
    return "its worker died: " + _COLOURS.sub("", " ".join(filter(None, lines)))[:1000]


class StopSearch(Stopper):
    """Ray Tune stopper that ends the search as soon as `reason` returns one."""

    def __init__(self, reason: Callable[[], str]) -> None:
        self._reason = reason
        self.why = ""

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Ray's pickle is never read."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no trial by itself."""
        return False

    def stop_all(self) -> bool:
        """Return whether all trials must stop; the first reason is kept in `why`."""
        self.why = self.why or self._reason()
        return bool(self.why)
