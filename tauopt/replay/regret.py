"""Regret of played searches: how far the true value of what they chose is from the best.

Source:
    R. Agarwal et al., arXiv:2108.13264, for interquartile means over few runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.replay.play import Choice

Floats = NDArray[np.float64]

WITHIN = (0.01, 0.03, 0.05)
"""Regrets, on the natural scale, for which the compute is given: 1, 3 and 5 % of a rejection."""
_GRID = 200


@dataclass(frozen=True)
class RegretCourse:
    """Regret against compute, over many searches by the same rules.

    Attributes:
        candidates: (point,) candidates trained on.
        mean: (point,) interquartile mean of the regret; infinite before every search has a choice.
        low, high: (point,) quartiles.
        within: for each of `WITHIN`, the candidates after which the mean stays below; None: never.
        curse: mean of (value told - truth) over its error, at the end of each search.
        told_less_truth: mean of value told - truth at the end.
    """

    candidates: Floats
    mean: Floats
    low: Floats
    high: Floats
    within: tuple[float | None, ...]
    curse: float
    told_less_truth: float


def regret_course(searches: Sequence[Sequence[Choice]], *, best: float) -> RegretCourse:
    """Return the regret of searches by the same rules against the compute.

    Args:
        searches: the choices of each search, in order.
        best: the largest true value that there is.
    """
    longest = max(search[-1].candidates for search in searches)
    grid = np.linspace(0, longest, _GRID + 1)[1:]
    regret = np.array([_on(grid, search, best) for search in searches])
    mean = np.array([interquartile_mean(column) for column in regret.T])
    last = [search[-1].trial for search in searches]
    low, high = np.percentile(regret, [25, 75], axis=0, method="nearest")
    return RegretCourse(
        candidates=grid,
        mean=mean,
        low=low,
        high=high,
        within=tuple(_stays_below(grid, mean, limit) for limit in WITHIN),
        curse=float(np.mean([trial.excess / trial.told.error for trial in last])),
        told_less_truth=float(np.mean([trial.excess for trial in last])),
    )


def _on(grid: Floats, search: Sequence[Choice], best: float) -> Floats:
    """Return the regret of one search at each point of a grid of compute."""
    spent = np.array([choice.candidates for choice in search])
    regret = np.array([best - choice.trial.judged for choice in search])
    index = np.searchsorted(spent, grid, side="right") - 1
    return np.where(index >= 0, regret[np.maximum(index, 0)], np.inf)


def interquartile_mean(values: Floats) -> float:
    """Return the mean of the middle half of some values; infinite if one of those is."""
    ordered = np.sort(values)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def _stays_below(grid: Floats, mean: Floats, limit: float) -> float | None:
    above = np.flatnonzero(mean > limit)
    first = int(above[-1]) + 1 if len(above) else 0
    return float(grid[first]) if first < len(grid) else None
