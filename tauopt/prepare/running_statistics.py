"""Moments and a uniform sample of columns, updated block by block in one pass, and mergeable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE = 200_000
"""Rows kept of each group; up to twice as many are in memory, which is 20 MB at twelve features.

With n independent values the rank of a quantile p is known to sqrt(p (1 - p) / n): for n = 200,000
to 0.0011 at the median and 0.00007 at 0.001. The objects of one candidate may be alike, for
instance where a variable of the candidate is repeated: then n is the number of candidates."""
_STATE = ("count", "mean", "squares", "min", "max")


class Moments:
    """Count, mean, variance, minimum and maximum of columns, in double precision; NaN is left out.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979).
    """

    def __init__(self, columns: int) -> None:
        self.count = np.zeros(columns)
        self.mean = np.zeros(columns)
        self.squares = np.zeros(columns)
        """Sums of squared deviations from the mean."""
        self.min = np.full(columns, np.inf)
        self.max = np.full(columns, -np.inf)

    def update(self, values: NDArray[Any]) -> None:
        """Add rows of `values` (row, column)."""
        values = np.asarray(values, dtype=np.float64)
        if not len(values):
            return
        present, block = ~np.isnan(values), Moments(values.shape[1])
        block.count = present.sum(axis=0).astype(np.float64)
        total = np.where(present, values, 0.0).sum(axis=0)
        block.mean = total / np.maximum(block.count, 1)
        block.squares = (np.where(present, values - block.mean, 0.0) ** 2).sum(axis=0)
        block.min = np.where(present, values, np.inf).min(axis=0)
        block.max = np.where(present, values, -np.inf).max(axis=0)
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
        """Return the state as arrays by name."""
        return {name: getattr(self, name) for name in _STATE}

    def with_state(self, state: Mapping[str, NDArray[np.float64]]) -> Moments:
        """Return moments of as many columns with a state that `state()` returned."""
        moments = Moments(len(self.count))
        for name in _STATE:
            setattr(moments, name, state[name])
        return moments

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of the population, (column)."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))


def sampling_keys(
    event_numbers: NDArray[np.int64], entries: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return a pseudo-random key of each candidate from its event number and entry, (candidate).

    Steele et al., "Fast splittable pseudorandom number generators" (SplitMix, 2014).
    """
    x = event_numbers.astype(np.uint64)
    x += entries.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class RowSample:
    """A uniform sample of rows: those with the smallest keys, of all that were added.

    Keys are pseudo-random and depend on the candidate alone, so the sample is the same in any order
    of the rows. Rows of one candidate have the same key: all of them are in the sample, or none.
    """

    def __init__(self, columns: int, *, most: int = SAMPLE) -> None:
        self._most = most
        self._below: np.uint64 | None = None  # all keys in the sample are below; None: no limit
        self._values = [np.empty((0, columns), np.float32)]
        self._keys = [np.empty(0, np.uint64)]
        self._rows = 0

    def update(self, values: NDArray[Any], keys: NDArray[np.uint64]) -> None:
        """Add rows of `values` (row, column) with their `keys` (row), see `sampling_keys`."""
        if self._below is not None:
            chosen = keys < self._below
            values, keys = values[chosen], keys[chosen]
        self._values.append(np.array(values, np.float32))
        self._keys.append(keys)
        self._rows += len(keys)
        if self._rows > 2 * self._most:
            self._reduce()

    def merge(self, other: RowSample) -> None:
        """Add the rows that were added to `other`."""
        if other._below is not None and (self._below is None or other._below < self._below):
            self._below = other._below
            for i, keys in enumerate(self._keys):
                chosen = keys < self._below
                self._values[i], self._keys[i] = self._values[i][chosen], keys[chosen]
            self._rows = sum(map(len, self._keys))
        for values, keys in zip(other._values, other._keys, strict=True):
            self.update(values, keys)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name."""
        values, below = self.values, [] if self._below is None else [self._below]
        return {
            "values": values,
            "numbers": self._keys[0],
            "below": np.array(below, np.uint64),
        }

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> RowSample:
        """Return a sample of as many rows with a state that `state()` returned."""
        sample = RowSample(state["values"].shape[1], most=self._most)
        sample.update(state["values"], state["numbers"])
        sample._below = state["below"][0] if len(state["below"]) else None
        return sample

    def _reduce(self) -> None:
        """Keep the rows with the smallest keys; of rows with the key at the limit, none."""
        values, keys = np.concatenate(self._values), np.concatenate(self._keys)
        if len(keys) > self._most:
            self._below = np.partition(keys, self._most)[self._most]
            chosen = keys < self._below
            values, keys = values[chosen], keys[chosen]
        self._values, self._keys, self._rows = [values], [keys], len(keys)

    @property
    def values(self) -> NDArray[np.float32]:
        """All rows of the sample, (row, column)."""
        self._reduce()
        return self._values[0]

    def one_each(self, most: int) -> NDArray[np.float32]:
        """Return the first row of each of the `most` candidates of smallest keys, shuffled."""
        self._reduce()
        (values,), (keys,) = self._values, self._keys
        # The rows of one candidate stand together, so its first row is where the key changes.
        first = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
        if len(first) > most:
            first = first[np.argpartition(keys[first], most)[:most]]
        _, index = np.unique(keys[first], return_index=True)
        return values[first[index]]
