"""Ray Tune's scheduler over the study, and what stops the whole search.

Rungs live in the study, not here: nothing is lost with the driver.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ray.tune import Stopper
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tauopt.search.out_of_memory import ADVICE, out_of_memory_kills
from tauopt.search.searcher import StudySearcher
from tauopt.search.trainable import INTERRUPTED

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
