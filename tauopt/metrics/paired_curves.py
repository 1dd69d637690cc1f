"""Two scores on the same candidates: the ratio of their curves, and each difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.binned_counts import spread
from tauopt.metrics.bootstrap import Difference, check_same, curve_numbers, difference_of
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions

Floats = NDArray[np.float64]

REPLICAS = 400
"""Fewer than `bootstrap.REPLICAS`: figures and tables need p-values down to 0.005 only."""
_WORK = 2e8
"""Candidates times replicas from which on there are fewer replicas, ..."""
_FEWEST = 50
"""... down to this many."""


@dataclass(frozen=True)
class PairedCurves:
    """AUC and background rejections of two scores, and what a bootstrap of both makes of them.

    Attributes:
        at: (A,) signal efficiencies.
        values: (2, 1 + A): AUC, then rejections; of the one and of the other.
        replicas: (replica, 2, 1 + A).
    """

    at: Floats
    values: Floats
    replicas: Floats

    @property
    def ratios(self) -> list[Estimate | None]:
        """The rejection of the one over that of the other, (A,); None where none is finite."""
        ratio = self.values[0, 1:] / self.values[1, 1:]
        low, high = spread(self.replicas[:, 0, 1:] / self.replicas[:, 1, 1:])
        return [
            Estimate(one, min(one, below), max(one, above)) if np.isfinite(one) else None
            for one, below, above in zip(ratio.tolist(), low.tolist(), high.tolist(), strict=True)
        ]

    def difference(self, number: int) -> Difference:
        """Return the one less the other in number 0 (AUC) or 1 + i (rejection at `at[i]`)."""
        value = float(self.values[0, number] - self.values[1, number])
        return difference_of(value, self.replicas[:, 0, number] - self.replicas[:, 1, number])


def number_of_replicas(candidates: int) -> int:
    """Return how often so many candidates are resampled, for errors and chances down to 0.005."""
    return int(np.clip(_WORK / max(candidates, 1), _FEWEST, REPLICAS))


def paired_curves(
    a: Predictions, b: Predictions, at: Floats, *, rng: np.random.Generator
) -> PairedCurves:
    """Compare the ROC curves of two scores by resampling their candidates.

    As `bootstrap.paired_bootstrap`, with all numbers of a curve from the same replicas.

    Raises:
        DataError: the two are not about the same candidates.
    """
    check_same(a, b)
    numbers = curve_numbers(a, at), curve_numbers(b, at)
    once = np.ones(len(a))
    replicas = np.empty((number_of_replicas(len(a)), 2, 1 + len(at)))
    for replica in replicas:
        times = rng.poisson(1.0, len(a)).astype(np.float64)
        replica[0], replica[1] = numbers[0](times), numbers[1](times)
    return PairedCurves(at, np.stack([numbers[0](once), numbers[1](once)]), replicas)
