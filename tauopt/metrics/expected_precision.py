"""How precisely an objective can be measured on a validation split, before anything is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName, band_of
from tauopt.metrics.ties import TIED

FEWEST = 100.0
"""Effective background candidates that pass; with fewer, the objective ranks mostly noise."""
_REJECTION, _SLOPE = 100.0, 6.0
"""A typical rejection at a signal efficiency of 75 %, and the fall of its logarithm with the
efficiency: ATLAS's tau RNN has 92 for one prong, and 214 at 60 % (rnn-tauid's published curve)."""
_PAIRED, _BAND, _BAND_PAIRED = 0.8, 0.9, 0.5
"""Errors relative to that of the rejection at one efficiency: of the difference of two trials, of a
band, and of the difference of two trials in a band; medians over the better random networks of the
recorded tables, on the demo's validation split."""


@dataclass(frozen=True)
class ExpectedPrecision:
    """Precision with which a rejection will be measured.

    Attributes:
        objective: its name.
        background: effective number of background candidates.
        passing: effective number of those that pass, for a typical rejection.
        error: relative error of a value.
        resolved: relative difference of two trials that can just be told from none.
    """

    objective: ObjectiveName
    background: float
    passing: float
    error: float
    resolved: float

    @property
    def is_low(self) -> bool:
        """Whether so few candidates pass that the objective ranks mostly noise."""
        return self.passing < FEWEST

    @property
    def lines(self) -> list[str]:
        """The precision in words; where it is low, with what would raise it."""
        lines = [
            f"objective {self.objective}: about {self.passing:.0f} of {self.background:,.0f} "
            "effective background candidates will pass (if the rejection is about "
            f"{_REJECTION:.0f} at 75 %); a value's error will be about {100 * self.error:.0f} %, "
            f"and trials less than {100 * self.resolved:.0f} % apart can't be told apart"
        ]
        if self.is_low:
            band = band_of(self.objective)
            other = (
                ""
                if band == self.objective
                else f" `maximize: {band}` makes errors of differences 40 % smaller;"
            )
            lines.append(
                f"warning: with fewer than {FEWEST:.0f} passing candidates a search mostly ranks "
                f"noise.{other} four times as many validation candidates halve all errors"
            )
        return lines


def expected_precision(
    objective: ObjectiveName,
    is_signal: NDArray[np.bool_],
    weights: NDArray[np.floating],
    *,
    prongs: NDArray[np.integer] | None = None,
) -> ExpectedPrecision | None:
    """Return the precision with which a rejection will be measured; None for other metrics.

    Args:
        objective: the metric.
        is_signal: (N,) of the validation split.
        weights: (N,).
        prongs: (N,) numbers of prongs; None if the objective does not select by them.
    """
    if objective.metric != "rejection" or objective.at is None:
        return None
    chosen = ~is_signal
    if objective.prongs is not None and prongs is not None:
        chosen = chosen & (prongs == objective.prongs)
    kept = weights[chosen].astype(np.float64)
    squares = float(np.sum(kept**2))
    background = float(kept.sum()) ** 2 / squares if squares else 0.0
    is_band = isinstance(objective.at, tuple)
    efficiency = float(objective.efficiencies.mean())
    passing = background / (_REJECTION * math.exp(-_SLOPE * (efficiency - 0.75)))
    single = 1.0 / math.sqrt(max(passing, 1e-9))
    return ExpectedPrecision(
        objective=objective,
        background=background,
        passing=passing,
        error=single * (_BAND if is_band else 1.0),
        resolved=TIED * single * (_BAND_PAIRED if is_band else _PAIRED),
    )
