"""Budget of a search: wall time and GPU time over all resumes, kept in the study."""

from __future__ import annotations

import time

import optuna

from tauopt.config.settings.experiment import Budget
from tauopt.study.open_study import GPU_SECONDS, SECONDS
from tauopt.study.study_storage import with_retries

_NOTE_EVERY_S = 10.0


class BudgetClock:
    """Counts wall time and GPU time of a search; a killed driver loses `_NOTE_EVERY_S` at most."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._before = float(study.user_attrs.get(SECONDS, 0.0))
        self.gpu_seconds = float(study.user_attrs.get(GPU_SECONDS, 0.0))
        """GPUs held times seconds so far, in all drivers of this search."""
        # Monotonic, so that a system clock that is set back changes nothing.
        self._start = self._last = self._noted = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds so far, in all drivers of this search."""
        return self._before + time.monotonic() - self._start

    def note(self, *, gpus: float = 0.0, now: bool = False) -> None:
        """Add the time since the last call; write the sums to the study every `_NOTE_EVERY_S`.

        Args:
            gpus: number of GPUs held since the last call.
            now: write to the study at once.
        """
        time_now = time.monotonic()
        self.gpu_seconds += gpus * (time_now - self._last)
        self._last = time_now
        if now or time_now - self._noted > _NOTE_EVERY_S:
            self._noted = time_now
            with_retries(lambda: self._study.set_user_attr(SECONDS, round(self.seconds, 3)))
            if self.gpu_seconds:
                gpu_seconds = round(self.gpu_seconds, 1)
                with_retries(lambda: self._study.set_user_attr(GPU_SECONDS, gpu_seconds))

    def beyond(self, budget: Budget) -> str:
        """Return in words which part of a budget is used up; empty if none is."""
        if budget.hours is not None and self.seconds > budget.hours * 3600:
            return f"the budget of {budget.hours:g} h is used up"
        if budget.gpu_hours is not None and self.gpu_seconds > budget.gpu_hours * 3600:
            return f"the budget of {budget.gpu_hours:g} GPU h is used up"
        return ""
