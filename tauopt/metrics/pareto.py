"""Non-dominated sorting: Pareto fronts of points with several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fronts(values: ArrayLike, *, larger: Sequence[bool]) -> NDArray[np.int64]:
    """Return the Pareto front that each point lies on: 1 for those that no other point dominates.

    A point dominates another if it is as good in each objective and better in one. On front 2 are
    the points that only points of front 1 dominate, and so on. With one objective the front is the
    rank, equal for equal values.

    Args:
        values: (point, objective), finite.
        larger: (objective,) True where larger is better.
    Returns:
        (point,) fronts from 1.
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
    dominates = as_good & better
    dominators = dominates.sum(axis=0)
    assigned = np.zeros(len(points), dtype=np.int64)
    front = 0
    while not assigned.all():
        front += 1
        undominated = (dominators == 0) & (assigned == 0)
        assigned[undominated] = front
        dominators -= dominates[undominated].sum(axis=0)
    return assigned
