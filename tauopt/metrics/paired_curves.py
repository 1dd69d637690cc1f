"""Paired bootstrap of the ROC curves of two scores: ratios of rejections, differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.binned_counts import replica_interval
from tauopt.metrics.bootstrap import Difference, check_same, curve_numbers, difference_of
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions

Floats = NDArray[np.float64]

REPLICAS = 400
"""Fewer than `bootstrap.REPLICAS`: figures and tables need p-values down to 0.005 only."""
_WORK = 2e8
"""Candidates times replicas; larger samples get fewer replicas, so that time stays bounded."""
_FEWEST = 50
"""Fewest replicas, whatever the sample."""


@dataclass(frozen=True)
class PairedCurves:
    """AUC and background rejections of two scores, with replicas of a paired bootstrap.

    Attributes:
        at: (A,) signal efficiencies.
        values: (score, 1 + A): AUC, then rejections; of two scores.
        replicas: (replica, score, 1 + A), likewise.
    """

    at: Floats
    values: Floats
    replicas: Floats

    @property
    def ratios(self) -> list[Estimate | None]:
        """Rejection of the first score over that of the second, (A,); None where not finite."""
        ratio = self.values[0, 1:] / self.values[1, 1:]
        low, high = replica_interval(self.replicas[:, 0, 1:] / self.replicas[:, 1, 1:])
        return [
            Estimate(value, min(value, lower), max(value, upper)) if np.isfinite(value) else None
            for value, lower, upper in zip(ratio.tolist(), low.tolist(), high.tolist(), strict=True)
        ]

    def difference(self, number: int) -> Difference:
        """Return first minus second score in number 0 (AUC) or 1 + i (rejection at `at[i]`)."""
        value = float(self.values[0, number] - self.values[1, number])
        return difference_of(value, self.replicas[:, 0, number] - self.replicas[:, 1, number])


def number_of_replicas(candidates: int) -> int:
    """Return the number of replicas for a sample, for errors and p-values down to 0.005."""
    return int(np.clip(_WORK / max(candidates, 1), _FEWEST, REPLICAS))


def paired_curves(
    a: Predictions, b: Predictions, at: Floats, *, rng: np.random.Generator
) -> PairedCurves:
    """Compare the ROC curves of two scores by a paired bootstrap.

    It is that of `bootstrap.paired_bootstrap`, with all numbers of a curve from the same replicas.

    Args:
        a, b: predictions of the same candidates.
        at: (A,) signal efficiencies of the rejections.
        rng: generator for the replicas.
    Raises:
        DataError: the candidates of the two differ.
    """
    check_same(a, b)
    numbers = curve_numbers(a, at), curve_numbers(b, at)
    once = np.ones(len(a))
    replicas = np.empty((number_of_replicas(len(a)), 2, 1 + len(at)))
    for replica in replicas:
        times = rng.poisson(1.0, len(a)).astype(np.float64)
        replica[0], replica[1] = numbers[0](times), numbers[1](times)
    return PairedCurves(at, np.stack([numbers[0](once), numbers[1](once)]), replicas)
