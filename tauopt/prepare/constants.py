"""Constants of features: fitted on the training split, in double precision, in one pass.

All candidates and objects of the training split count the same: the physics weights of jets in
slices span orders of magnitude, and would leave the constants to a handful of them. What the
network needs is values of the order of one, not an unbiased mean of the physical spectrum.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.inputs import FittedFeature, FittedGroup, Transform
from tauopt.prepare.plan import FeaturePlan

logger = logging.getLogger(__name__)


def before_log(values: NDArray[Any], transform: Transform) -> NDArray[np.float64]:
    """Apply the transform up to its logarithm, in float64; any shape."""
    result = np.asarray(values, dtype=np.float64) / transform.divide
    if transform.abs:
        result = np.abs(result)
    if transform.min is not None or transform.max is not None:
        result = np.clip(result, transform.min, transform.max)
    return result + transform.offset


def transformed(values: NDArray[Any], transform: Transform) -> NDArray[np.float64]:
    """Apply the whole transform, in float64: the reference of what the model's layer does."""
    result = before_log(values, transform)
    if transform.log10:
        with np.errstate(divide="ignore", invalid="ignore"):
            result = np.log10(result)
    return result


class Moments:
    """Count, mean, variance, minimum and maximum of some columns, updated in blocks.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979). NaN is left out.
    """

    def __init__(self, columns: int) -> None:
        self.count = np.zeros(columns)
        self.mean = np.zeros(columns)
        self.squares = np.zeros(columns)
        self.min = np.full(columns, np.inf)
        self.max = np.full(columns, -np.inf)

    def update(self, values: NDArray[Any]) -> None:
        """Add rows of `values` (row, column)."""
        values = np.asarray(values, dtype=np.float64)
        there = ~np.isnan(values)
        count = there.sum(axis=0)
        total = self.count + count
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(count > 0, np.where(there, values, 0.0).sum(axis=0) / count, 0.0)
            delta = np.where(count > 0, mean - self.mean, 0.0)
            share = np.where(total > 0, count / total, 0.0)
        self.squares += (np.where(there, values - mean, 0.0) ** 2).sum(axis=0)
        self.squares += delta**2 * self.count * share
        self.mean += delta * share
        self.count = total
        if len(values):
            self.min = np.fmin(self.min, np.where(there, values, np.inf).min(axis=0))
            self.max = np.fmax(self.max, np.where(there, values, -np.inf).max(axis=0))

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of the population, (column)."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))


class Constants:
    """Constants of one group's features."""

    def __init__(self, name: str, features: Sequence[FeaturePlan]) -> None:
        self._name, self._features = name, tuple(features)
        self._moments = Moments(len(self._features))

    def update(self, values: NDArray[np.float32]) -> None:
        """Add training values (row, feature), physical, without NaN."""
        columns = [
            transformed(values[:, i], feature.transform) for i, feature in enumerate(self._features)
        ]
        self._moments.update(np.column_stack(columns))

    def fitted(self) -> FittedGroup:
        """Return the group with its constants.

        A feature that is constant in the training split gets the spread 1, so that the network
        sees zero; a group without any object keeps shift 0 and spread 1.
        """
        return FittedGroup(
            name=self._name,
            features=tuple(self._fit(i, feature) for i, feature in enumerate(self._features)),
        )

    def _fit(self, column: int, feature: FeaturePlan) -> FittedFeature:
        moments, scale = self._moments, feature.transform.scale
        shift, spread = 0.0, 1.0
        if moments.count[column] and scale == "standard":
            shift, spread = moments.mean[column], moments.deviation[column]
        elif moments.count[column] and scale == "minmax":
            shift, spread = moments.min[column], moments.max[column] - moments.min[column]
        if spread <= 1e-7 * abs(shift):  # float32 can't tell such values apart
            logger.warning("%s is constant in the training split", feature.label)
            spread = 1.0
        return FittedFeature(
            name=feature.name,
            transform=feature.transform,
            shift=float(shift),
            spread=float(spread),
        )
