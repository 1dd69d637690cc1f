"""Wall time of a search over all its resumes, kept in the study."""

from __future__ import annotations

import time

import optuna

from tauopt.search.study import SECONDS

_NOTE_EVERY_S = 10.0


class Clock:
    """Counts the seconds that a search has run, monotonic and durable to some seconds."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._before = float(study.user_attrs.get(SECONDS, 0.0))
        self._start = time.monotonic()
        self._noted = self._start

    @property
    def seconds(self) -> float:
        """Seconds so far, in all drivers of this search."""
        return self._before + time.monotonic() - self._start

    def note(self, *, now: bool = False) -> None:
        """Write the seconds to the study, at once or when the last note is old."""
        if now or time.monotonic() - self._noted > _NOTE_EVERY_S:
            self._noted = time.monotonic()
            self._study.set_user_attr(SECONDS, round(self.seconds, 1))
