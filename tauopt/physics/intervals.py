"""Intervals of counted fractions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

Floats = NDArray[np.float64]

ONE_SIGMA = 0.6826894921370859
"""Probability of a normal number within one standard deviation."""


def clopper_pearson(
    passed: ArrayLike, total: ArrayLike, *, level: float = ONE_SIGMA
) -> tuple[Floats, Floats]:
    """Return the exact central interval of an efficiency: it covers the truth at least so often.

    Args:
        passed: (...) candidates that pass, counted.
        total: (...) candidates; where there are none the interval is [0, 1].
        level: probability of the interval.
    Returns:
        lower and upper ends, (...) each.
    Source:
        C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.
    """
    k, n = np.broadcast_arrays(
        np.asarray(passed, dtype=np.float64), np.asarray(total, dtype=np.float64)
    )
    tail = (1.0 - level) / 2
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 1.0 - tail), 1.0)
    return low, high
