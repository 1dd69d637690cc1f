"""Quantiles of features, from a uniform sample of the training split of fixed size.

Every candidate gets a pseudo-random number from its event number and its entry; the rows of those
with the smallest numbers are kept, so that the sample is uniform and the same in any order. With
n independent values the rank of a quantile p is known to sqrt(p (1 - p) / n): for n = 200,000 to
0.0011 at the median and 0.00007 at 0.001. Objects of one candidate may be alike, for instance
where a candidate's variable is repeated: then n is the number of candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE = 200_000
"""Rows that are kept of each group, of twice as many in memory: 20 MB at twelve features."""


def sampling_keys(
    event_numbers: NDArray[np.int64], entries: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return a pseudo-random number for each candidate (Steele et al., "SplitMix", 2014)."""
    x = event_numbers.astype(np.uint64)
    x += entries.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class RowSample:
    """The rows with the smallest numbers, of all that were added."""

    def __init__(self, columns: int, *, most: int = SAMPLE) -> None:
        self._most = most
        self._below: np.uint64 | None = None
        self._values = [np.empty((0, columns), np.float32)]
        self._numbers = [np.empty(0, np.uint64)]
        self._held = 0

    def update(self, values: NDArray[Any], numbers: NDArray[np.uint64]) -> None:
        """Add rows of `values` (row, column) with their `numbers` (row)."""
        if self._below is not None:
            chosen = numbers < self._below
            values, numbers = values[chosen], numbers[chosen]
        self._values.append(np.array(values, np.float32))
        self._numbers.append(numbers)
        self._held += len(numbers)
        if self._held > 2 * self._most:
            self._reduce()

    def merge(self, other: RowSample) -> None:
        """Add the rows that were added to `other`."""
        if other._below is not None and (self._below is None or other._below < self._below):
            self._below = other._below
            for i, held in enumerate(self._numbers):
                chosen = held < self._below
                self._values[i], self._numbers[i] = self._values[i][chosen], held[chosen]
            self._held = sum(map(len, self._numbers))
        for values, numbers in zip(other._values, other._numbers, strict=True):
            self.update(values, numbers)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that is kept, as arrays by name."""
        values, below = self.values, [] if self._below is None else [self._below]
        return {
            "values": values,
            "numbers": self._numbers[0],
            "below": np.array(below, np.uint64),
        }

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> RowSample:
        """Return a sample that keeps as much, with what `state` gave."""
        sample = RowSample(state["values"].shape[1], most=self._most)
        sample.update(state["values"], state["numbers"])
        sample._below = state["below"][0] if len(state["below"]) else None
        return sample

    def _reduce(self) -> None:
        """Keep the rows with the smallest numbers; equal ones all, or none at the edge."""
        values, numbers = np.concatenate(self._values), np.concatenate(self._numbers)
        if len(numbers) > self._most:
            self._below = np.partition(numbers, self._most)[self._most]
            chosen = numbers < self._below
            values, numbers = values[chosen], numbers[chosen]
        self._values, self._numbers, self._held = [values], [numbers], len(numbers)

    @property
    def values(self) -> NDArray[np.float32]:
        """All rows that are kept, (row, column)."""
        self._reduce()
        return self._values[0]

    def one_each(self, most: int) -> NDArray[np.float32]:
        """Return the first row of each number, of the `most` smallest numbers, in random order."""
        self._reduce()
        (values,), (numbers,) = self._values, self._numbers
        first = np.flatnonzero(np.diff(numbers, prepend=~numbers[:1]))  # rows of one are together
        if len(first) > most:
            first = first[np.argpartition(numbers[first], most)[:most]]
        _, index = np.unique(numbers[first], return_index=True)
        return values[first[index]]
