"""Tables of arrays with the same rows, and operations on groups of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """Base of frozen dataclasses whose every field is an array over the same rows."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: Array) -> Self:
        """Return the rows selected by a mask or an index array."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Concatenate tables."""
        names = [f.name for f in fields(cls)]
        return cls(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def offsets(groups: Array, n_groups: int) -> Array:
    """Return the (n_groups + 1,) offsets of ascending group numbers: first rows, and the end."""
    return np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=n_groups))])


def pairs(left: Array, right: Array, n_groups: int) -> tuple[Array, Array]:
    """Pair every row of `left` with every row of `right` of the same group.

    Args:
        left: group numbers, (left row,) int.
        right: ascending group numbers, (right row,) int.
        n_groups: groups are 0 .. n_groups - 1.
    Returns:
        row of `left` and row of `right` of each pair, ordered by `left`, then `right`.
    """
    bounds = offsets(right, n_groups)
    counts = np.diff(bounds)[left]
    left_row = np.repeat(np.arange(len(left)), counts)
    position = np.arange(len(left_row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return left_row, bounds[left][left_row] + position


def total(values: Array, groups: Array, n_groups: int) -> Array:
    """Sum `values` by group: (n_groups,) float64."""
    return np.bincount(groups, weights=values, minlength=n_groups)


def leading(groups: Array, n_groups: int) -> Array:
    """Return the first row of each group of ascending group numbers, -1 for an empty group."""
    bounds = offsets(groups, n_groups)
    return np.where(np.diff(bounds) > 0, bounds[:-1], -1)


def rank(groups: Array, n_groups: int) -> Array:
    """Return the position of each row in its group, from 0, for ascending group numbers."""
    return np.arange(len(groups)) - offsets(groups, n_groups)[groups]
