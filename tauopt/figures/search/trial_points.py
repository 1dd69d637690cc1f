"""Trials of a search as its figures take them, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

COMPLETE, PRUNED, FAILED, REPEATED, UNFINISHED = (
    "complete", "pruned", "failed", "repeated", "unfinished",
)  # fmt: skip
"""Fates of a trial. Repeated: it equals an earlier one and was not trained again."""
FATES = (COMPLETE, PRUNED, FAILED, REPEATED, UNFINISHED)
CONFIRMING = "confirming"
"""Fate of a training that confirms the point of a trial; shown where compute is."""


@dataclass(frozen=True)
class TrialPoint:
    """One trial.

    Attributes:
        number: number of the trial.
        fate: one of `FATES`.
        value: the first objective at its best report; None without a report.
        rank: place in the leaderboard, 1 is best; 0 for a trial that has none.
        low, high: ends of its 68 % interval, for a complete trial.
        seen: (report,) candidates seen; the numbers of the reports where that is not recorded.
        values: (report,) the first objective.
        intervals: (report,) 68 % intervals of `values`; empty where they are not recorded.
        spent: core or GPU hours that the search had used when the trial ended; None for a trial
            that has not ended or that used nothing.
        params: active parameters, path -> value.
    """

    number: int
    fate: str
    value: float | None = None
    rank: int = 0
    low: float | None = None
    high: float | None = None
    seen: Sequence[float] = ()
    values: Sequence[float] = ()
    intervals: Sequence[tuple[float, float]] = ()
    spent: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def height(self) -> float:
        """The value; NaN without one."""
        return math.nan if self.value is None else self.value

    @property
    def name(self) -> str:
        """Name as in tables, such as `t007`."""
        return f"t{self.number:03d}"


def best_of(trials: Iterable[TrialPoint]) -> TrialPoint | None:
    """Return the complete trial of the best rank; without ranks that of the largest value."""
    complete = [t for t in trials if t.fate == COMPLETE and t.value is not None]
    return min(complete, key=lambda t: (t.rank, -t.height, t.number), default=None)


def best_so_far(trials: Sequence[TrialPoint]) -> list[int]:
    """Return, after each trial in the given order, the best complete trial so far.

    Returns:
        (trial,) indices into `trials`; -1 before the first complete one.
    """
    indices, best = [], -1
    for index, trial in enumerate(trials):
        if trial.fate == COMPLETE and trial.value is not None:
            best_value = trials[best].value if best >= 0 else None
            best = index if best_value is None or trial.value > best_value else best
        indices.append(best)
    return indices
