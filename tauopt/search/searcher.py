"""Ray Tune's searcher over the study: hands out the study's trials and ends them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from tauopt.errors import ServiceError
from tauopt.search.trainable import FAILED, REFUSED, TRACEBACK
from tauopt.search.trials import Proposal, Trials

logger = logging.getLogger(__name__)

FINISHED = str(Searcher.FINISHED)
Begin = Callable[[Proposal], dict[str, Any]]
"""Makes a proposal ready to be trained and returns the configuration for the worker."""
End = Callable[[int], None]
"""Is told the number of a trial that has ended in the study."""


class StudySearcher(Searcher):
    """Knows which of the study's trials each of Ray's trials is."""

    def __init__(
        self, trials: Trials, *, begin: Begin, end: End, concurrent: Callable[[], int]
    ) -> None:
        super().__init__()
        self.trials = trials
        self.numbers: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.deaths: dict[str, str] = {}
        self.error: Exception | None = None
        self._begin = begin
        self._end = end
        self._concurrent = concurrent

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the configuration of the next trial, FINISHED, or None if it has no place yet."""
        if self.error is not None or self.trials.gives_up():
            return FINISHED
        if len(self.numbers) >= self._concurrent():
            return None
        try:
            proposal = self.trials.next_trial()
            if proposal is None:
                return FINISHED
            config = self._begin(proposal)
        except Exception as error:  # noqa: BLE001 - told by the driver, after Ray has wound up
            self.error = error
            return FINISHED
        self.numbers[trial_id] = proposal.number
        return config

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a trial: the last report comes here only, the scheduler never sees it.

        Ray only logs what is raised here, so errors are kept for the driver.
        """
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        try:
            told = {} if error else (result or {})
            if REFUSED in told:  # stays RUNNING in the study: a resume takes it up again
                raise ServiceError(f"{told[REFUSED]}; then resume")
            self._tell(trial_id, number, told)
            self._end(number)
        except Exception as failure:  # noqa: BLE001 - as above
            self.error = failure

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
            self.trials.fail(number, self.deaths.get(trial_id, "its worker died"))

    def __getstate__(self) -> dict[str, Any]:
        """Give Ray nothing to pickle: it writes a Tuner to a file, which nobody reads."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the study is the state."""
