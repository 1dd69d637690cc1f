"""Ray Tune's searcher, scheduler and stopper: thin adapters over the one study.

The searcher hands out the study's trials and ends them, the scheduler gives every report to the
study and stops what its pruner stops. Rungs and history live in the study, so that nothing is
lost with the driver.
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
"""How often a trial whose worker dies, at no new report, is taken up again from its checkpoint.

Deaths before its last report do not count: on nodes that come and go a long trial dies often.
"""
BeginTrial = Callable[[Proposal], dict[str, Any]]
"""Makes a proposal ready to be trained and returns the configuration for the worker."""
EndTrial = Callable[[int], None]
"""Is told the number of a trial that has ended in the study."""


class StudySearcher(Searcher):
    """Knows which of the study's trials each of Ray's trials is."""

    def __init__(
        self, trials: TrialQueue, *, begin: BeginTrial, end: EndTrial, concurrent: Callable[[], int]
    ) -> None:
        super().__init__()
        self.trials = trials
        self.numbers: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.error: Exception | None = None
        self._begin = begin
        self._end = end
        self._concurrent = concurrent
        self._deaths: dict[int, tuple[int, int]] = {}
        self._last_words: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the configuration of the next trial, FINISHED, or None if it has no place yet."""
        if self.error is not None or self.trials.gives_up():
            return FINISHED
        if len(self.numbers) >= self._concurrent():
            return None
        try:
            proposal = self.trials.next_trial()
            if proposal is None:  # one of those that run may come back
                return None if self.numbers else FINISHED
            config = self._begin(proposal)
        except Exception as error:  # noqa: BLE001 - told by the driver, after Ray has wound up
            self.error = error
            return FINISHED
        self.numbers[trial_id] = proposal.number
        return config

    def died(self, trial_id: str, reason: str) -> bool:
        """Take note that a trial's worker died; True if the trial is taken up again.

        Ray's own retries would not do: it gives up a trial at once whose worker, kept warm from
        the trial before, dies before it begins.
        """
        number = self.numbers.get(trial_id)
        if number is None:
            return False
        self._last_words[trial_id] = reason
        report = self.trials.last_report(number)
        before, deaths = self._deaths.get(number, (report, 0))
        deaths = deaths + 1 if report == before else 1
        self._deaths[number] = (report, deaths)
        if deaths > RETRIES:
            return False
        del self.numbers[trial_id]
        self.trials.retry(number, reason)
        return True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a trial: the last report comes here only, the scheduler never sees it.

        An interrupted trial has not ended: it stays RUNNING in the study, for the next driver.

        Ray only logs what is raised here, so errors are kept for the driver.
        """
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        try:
            told = {} if error else (result or {})
            if INTERRUPTED in told:
                return
            if REFUSED in told:  # stays RUNNING in the study: a resume takes it up again
                raise ServiceError(f"{told[REFUSED]}; then resume")
            self._tell(trial_id, number, told)
            self._end(number)
        except Exception as failure:  # noqa: BLE001 - as above
            self.error = self.error or failure

    def _tell(self, trial_id: str, number: int, result: dict[str, Any]) -> None:
        if trial_id in self.stopped:
            self.trials.prune(number)
        elif FAILED in result:
            self.trials.fail(number, result[FAILED], traceback=result.get(TRACEBACK, ""))
        elif "value" in result:
            self.trials.complete(
                number,
                result["number"],
                result["value"],
                best=result["best"],
                others=result["others"],
                intervals={name: ends for name, *ends in result["intervals"]},
                candidates_seen=result["candidates_seen"],
            )
        else:
            self.trials.fail(number, self._last_words.get(trial_id, "its worker died"))

    def __getstate__(self) -> dict[str, Any]:
        """Give Ray nothing to pickle: it writes a Tuner to a file, which nobody reads."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the study is the state."""


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class StudyScheduler(FIFOScheduler):
    """Gives every report to the study and stops the trials that it prunes."""

    def __init__(self, searcher: StudySearcher) -> None:
        super().__init__()
        self._searcher = searcher
        self._kills = out_of_memory_kills()

    def __getstate__(self) -> dict[str, Any]:
        """Give Ray nothing to pickle."""
        return {}

    def on_trial_result(self, controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        """Report to the study; STOP where it prunes.

        Ray acts on a stopped search before it looks at results that came since, in 2.60. Of an
        interrupted trial there is nothing to report, in whichever order.
        """
        number = self._searcher.numbers.get(trial.trial_id)
        if number is None or self._searcher.error is not None or INTERRUPTED in result:
            return str(TrialScheduler.CONTINUE)
        try:
            stopped = self._searcher.trials.report(
                number,
                result["number"],
                result["value"],
                candidates_seen=result["candidates_seen"],
            )
        except Exception as error:  # noqa: BLE001 - told by the driver, after Ray has wound up
            self._searcher.error = error
            return str(TrialScheduler.CONTINUE)
        if not stopped:
            return str(TrialScheduler.CONTINUE)
        self._searcher.stopped.add(trial.trial_id)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, controller: Any, trial: RayTrial) -> None:
        """Give a trial whose worker died back to the study; say so if the kernel killed for memory.

        Which worker it killed is not known, so that the trial is tried again like any other.
        """
        reason = _last_error(trial)
        kills = out_of_memory_kills()
        if kills > self._kills:
            reason += f"; the kernel has killed for lack of memory here meanwhile: {ADVICE}"
            self._kills = kills
        try:
            self._searcher.died(trial.trial_id, reason)
        except Exception as error:  # noqa: BLE001 - as above
            self._searcher.error = self._searcher.error or error


def _last_error(trial: RayTrial) -> str:
    """Return what Ray wrote of a worker's death, without its tables and hints."""
    try:
        with open(trial.error_file) as stream:
            lines = [line.strip() for line in stream if not line.startswith("Failure #")]
    except (OSError, TypeError):
        return "its worker died"
    return "its worker died: " + _COLOURS.sub("", " ".join(filter(None, lines)))[:1000]


class StopSearch(Stopper):
    """Ends the search as soon as `reason` says why."""

    def __init__(self, reason: Callable[[], str]) -> None:
        self._reason = reason
        self.why = ""

    def __getstate__(self) -> dict[str, Any]:
        """Give Ray nothing to pickle."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no trial by itself."""
        return False

    def stop_all(self) -> bool:
        """Stop all trials once there is a reason; the first one is kept."""
        self.why = self.why or self._reason()
        return bool(self.why)
