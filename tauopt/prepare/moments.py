"""Mean, spread and range of columns, in double precision and one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STATE = ("count", "mean", "squares", "min", "max")


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
        if not len(values):
            return
        there, block = ~np.isnan(values), Moments(values.shape[1])
        block.count = there.sum(axis=0).astype(np.float64)
        total = np.where(there, values, 0.0).sum(axis=0)
        block.mean = total / np.maximum(block.count, 1)
        block.squares = (np.where(there, values - block.mean, 0.0) ** 2).sum(axis=0)
        block.min = np.where(there, values, np.inf).min(axis=0)
        block.max = np.where(there, values, -np.inf).max(axis=0)
        self.merge(block)

    def merge(self, other: Moments) -> None:
        """Add the rows that were added to `other`."""
        total = self.count + other.count
        with np.errstate(invalid="ignore"):  # values may be infinite
            delta = np.where(other.count > 0, other.mean - self.mean, 0.0)
            share = other.count / np.maximum(total, 1)
            self.squares = self.squares + other.squares + delta**2 * self.count * share
            self.mean = self.mean + delta * share
        self.count = total
        self.min = np.fmin(self.min, other.min)
        self.max = np.fmax(self.max, other.max)

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Return all that is known, as arrays by name."""
        return {name: getattr(self, name) for name in _STATE}

    def with_state(self, state: Mapping[str, NDArray[np.float64]]) -> Moments:
        """Return moments with what `state` gave."""
        moments = Moments(len(self.count))
        for name in _STATE:
            setattr(moments, name, state[name])
        return moments

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of the population, (column)."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))
