"""Columns of equal length that are cut and joined together."""

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
        """Return the rows that a mask or an index array names."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put tables one after another."""
        names = [f.name for f in fields(cls)]
        return cls(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def offsets(groups: Array, n_groups: int) -> Array:
    """Return the (n_groups + 1,) offsets of ascending group numbers."""
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
    first = np.repeat(np.arange(len(left)), counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, bounds[left][first] + within


def total(values: Array, groups: Array, n_groups: int) -> Array:
    """Sum `values` by group: (n_groups,) float64."""
    return np.bincount(groups, weights=values, minlength=n_groups)


def leading(groups: Array, n_groups: int) -> Array:
    """Return the first row of each group of ascending group numbers, -1 where it is empty."""
    bounds = offsets(groups, n_groups)
    return np.where(np.diff(bounds) > 0, bounds[:-1], -1)


def rank(groups: Array, n_groups: int) -> Array:
    """Return the place of each row within its group, for ascending group numbers."""
    return np.arange(len(groups)) - offsets(groups, n_groups)[groups]
