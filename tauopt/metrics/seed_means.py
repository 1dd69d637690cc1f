"""Means of a metric over trainings on several seeds, with errors of seeds and of the sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from tauopt.metrics.influence import PairedValue
from tauopt.physics.intervals import student_factor


@dataclass(frozen=True)
class SeedMean:
    """Mean of a metric over trainings of one point of a search space on several seeds.

    Attributes:
        paired: the mean on its natural scale, with the mean influences of the candidates.
        seed_error: half of the mean's 68 % interval from seed to seed, on the same candidates.
        seeds: number of trainings.
    """

    paired: PairedValue
    seed_error: float
    seeds: int = 1

    @property
    def value(self) -> float:
        """The mean, on its natural scale."""
        return self.paired.value

    @property
    def error(self) -> float:
        """Half of the mean's 68 % interval, for other seeds and another sample of candidates."""
        return math.hypot(self.paired.error, self.seed_error)

    def of_one(self, value: PairedValue) -> SeedMean:
        """Return the value of a single training of another point as a mean of one."""
        return SeedMean(value, self.seed_error * math.sqrt(self.seeds))

    def ahead_of(self, other: SeedMean) -> tuple[float, float]:
        """Return this mean less another one on the same candidates, and its error.

        What both means share through the candidates cancels; their seeds have nothing in common.
        """
        difference, error = self.paired.ahead_of(other.paired)
        return difference, math.hypot(error, self.seed_error, other.seed_error)


def seed_means(values: Sequence[Sequence[PairedValue]]) -> list[SeedMean]:
    """Return the mean of each point over its trainings.

    A few trainings of one point tell the deviation from seed to seed badly. So it is taken as the
    same for all points, which on the natural scale it nearly is, and all trainings tell it. Where
    all of them are few, the errors are larger by Student's factor.

    Args:
        values: the metric of each training of each point, (point,) of (seed,); at least one each.
            Where no point has two, the deviation is unknown and counts as zero.
    """
    means = [
        PairedValue(
            fmean(value.value for value in point),
            np.mean([value.influence for value in point], axis=0),
        )
        for point in values
    ]
    deviation = _deviation(values, means)
    return [
        SeedMean(mean, deviation / math.sqrt(len(point)), len(point))
        for point, mean in zip(values, means, strict=True)
    ]


def _deviation(values: Sequence[Sequence[PairedValue]], means: Sequence[PairedValue]) -> float:
    """Return half of the 68 % interval of one training's value, from seed to seed alone.

    Values of one point also differ because each network errs on other candidates of the sample.
    That part the influences tell, and it is in the errors already.
    """
    pairs = [(v, mean) for point, mean in zip(values, means, strict=True) for v in point]
    freedom = len(pairs) - len(means)
    if not freedom:
        return 0.0
    squares = sum((value.value - mean.value) ** 2 for value, mean in pairs)
    of_sample = sum(float(np.sum((v.influence - mean.influence) ** 2)) for v, mean in pairs)
    in_all = squares * student_factor(freedom) ** 2
    return math.sqrt(max(in_all - of_sample, 0.0) / freedom)
