"""Confidence intervals of efficiencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr, stdtrit

Floats = NDArray[np.float64]

ONE_SIGMA = 0.6826894921370859
"""Probability of a normal variable to be within one standard deviation of its mean."""


def clopper_pearson(
    passed: ArrayLike, total: ArrayLike, *, level: float = ONE_SIGMA
) -> tuple[Floats, Floats]:
    """Return the Clopper-Pearson interval of an efficiency: central, with at least this coverage.

    Args:
        passed: (...) number of candidates that pass.
        total: (...) number of candidates; if it is 0 the interval is [0, 1].
        level: confidence level.
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


def student_factor(freedom: int) -> float:
    """Return by what a measured standard deviation is too small for a 68 % interval.

    Args:
        freedom: degrees of freedom that told the deviation, at least 1: few tell it badly.
    Source:
        Student, Biometrika 6 (1908) 1.
    """
    return float(stdtrit(freedom, ndtr(1.0)))
