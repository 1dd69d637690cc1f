"""Means of a metric over trainings on several seeds, with errors of seeds and of the sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from tauopt.metrics.influence import PairedValue


@dataclass(frozen=True)
class SeedMean:
    """Mean of a metric over trainings of one point of a search space on several seeds.

    Attributes:
        paired: the mean on its natural scale, with the mean influences of the candidates.
        seed_error: standard error of the mean from seed to seed, on the same candidates.
    """

    paired: PairedValue
    seed_error: float

    @property
    def value(self) -> float:
        """The mean, on its natural scale."""
        return self.paired.value

    @property
    def error(self) -> float:
        """Standard deviation of the mean, for other seeds and another sample of candidates."""
        return math.hypot(self.paired.error, self.seed_error)

    def ahead_of(self, other: SeedMean) -> tuple[float, float]:
        """Return this mean less another one on the same candidates, and its standard deviation.

        What both means share through the candidates cancels; their seeds have nothing in common.
        """
        difference, error = self.paired.ahead_of(other.paired)
        return difference, math.hypot(error, self.seed_error, other.seed_error)


def seed_means(values: Sequence[Sequence[PairedValue]]) -> list[SeedMean]:
    """Return the mean of each point over its trainings.

    A few trainings of one point tell the deviation from seed to seed badly. So it is taken as the
    same for all points, which on the natural scale it nearly is, and all trainings tell it.

    Args:
        values: the metric of each training of each point, (point,) of (seed,); at least one each.
            Where no point has two, the deviation is unknown and counts as zero.
    """
    means = [fmean(value.value for value in point) for point in values]
    squares = sum(
        (value.value - mean) ** 2
        for point, mean in zip(values, means, strict=True)
        for value in point
    )
    freedom = sum(len(point) - 1 for point in values)
    deviation = math.sqrt(squares / freedom) if freedom else 0.0
    return [
        SeedMean(
            PairedValue(mean, np.mean([value.influence for value in point], axis=0)),
            deviation / math.sqrt(len(point)),
        )
        for point, mean in zip(values, means, strict=True)
    ]
