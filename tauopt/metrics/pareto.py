"""Which points are not surpassed where there are several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fronts(values: ArrayLike, *, larger: Sequence[bool]) -> NDArray[np.int64]:
    """Return the front that each point lies on: 1 for those that no other point surpasses.

    A point surpasses another if it is as good in each objective and better in one. Front 2 are
    those that only points of front 1 surpass, and so on. With one objective the front is the
    rank, equal for equal values.

    Args:
        values: (point, objective), finite.
        larger: (objective,) True where larger is better.
    Source:
        N. Srinivas, K. Deb, Evolutionary Computation 2 (1994) 221.
    """
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(larger))
    points = np.where(np.asarray(larger), points, -points)
    as_good = np.ones((len(points), len(points)), dtype=bool)
    better = np.zeros_like(as_good)
    for column in points.T:
        as_good &= column[:, None] >= column
        better |= column[:, None] > column
    surpasses = as_good & better
    by = surpasses.sum(axis=0)
    found = np.zeros(len(points), dtype=np.int64)
    front = 0
    while not found.all():
        front += 1
        present = (by == 0) & (found == 0)
        found[present] = front
        by -= surpasses[present].sum(axis=0)
    return found
