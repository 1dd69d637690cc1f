"""Ray Tune's searcher over the study: hands out the study's trials and ends them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from tauopt.errors import ServiceError
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
