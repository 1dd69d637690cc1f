"""Background rejection at fixed signal efficiency, with its error."""

from __future__ import annotations

import numpy as np

from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate, wilson
from tauopt.metrics.roc import _TINY, Floats, Roc, at_signal_efficiency

_WIDEST = 50.0
"""Largest logarithm of an interval's end over its value: keeps extreme cases finite."""


def rejections(curve: Roc, at: Floats) -> list[Estimate]:
    """Return the background rejection (1 / efficiency) at signal efficiencies `at`, (A,).

    The error has two parts, added in quadrature on the logarithm: that of the background which
    passes (Wilson's interval at the effective number of candidates), and that of the cut, which a
    finite signal sample fixes only within the error of its efficiency; the slope of the curve,
    taken across two such errors to either side, propagates it.

    Where no background passes (or less than none, with negative weights) the rejection can't be
    measured. Then value, low and high are the finite lower limit n + 1, the inverse of the upper
    end of Wilson's 68 % interval for none of n, with n = (sum w)^2 / sum w^2 of all background.

    Raises:
        DataError: an efficiency is not above 0, or is above 1.
    """
    if not ((at > 0) & (at <= 1)).all():
        raise DataError(f"signal efficiencies must be above 0 and up to 1, got {at.tolist()}")
    passed = at_signal_efficiency(curve.signal, curve.background, at)
    variance = _variance(curve, curve.background_squares, at, passed)
    shift = 2.0 * np.sqrt(_variance(curve, curve.signal_squares, at, at))
    loose, tight = np.minimum(at + shift, 1.0), np.maximum(at - shift, 2 * _TINY)
    looser = at_signal_efficiency(curve.signal, curve.background, loose)
    tighter = at_signal_efficiency(curve.signal, curve.background, tight)
    width = np.maximum(loose - tight, _TINY)
    cut_errors = 0.5 * shift * np.abs(looser - tighter) / width
    number = curve.n_background
    return [
        _rejection(*point, number=number)
        for point in zip(passed.tolist(), variance.tolist(), cut_errors.tolist(), strict=True)
    ]


def _variance(curve: Roc, squares: Floats, at: Floats, fraction: Floats) -> Floats:
    """Return the variance of a weighted fraction, sum w^2 (passes - fraction)^2 / (sum w)^2."""
    passing = at_signal_efficiency(curve.signal, np.cumsum(squares), at)
    failing = squares.sum() - passing
    return np.asarray(
        np.maximum(passing, 0) * (1 - fraction) ** 2 + np.maximum(failing, 0) * fraction**2
    )


def _rejection(passed: float, variance: float, cut_error: float, *, number: float) -> Estimate:
    if passed <= _TINY:
        limit = number + 1.0
        return Estimate(limit, limit, limit, limit=True)
    low, high = wilson(passed, variance, number)
    relative_cut_error = cut_error / passed
    up = np.hypot(np.log(passed / max(low, _TINY * passed)), relative_cut_error)
    down = np.hypot(np.log(high / passed), relative_cut_error)
    ends = np.exp(np.clip([-down, up], -_WIDEST, _WIDEST)) / passed
    return Estimate(1.0 / passed, float(ends[0]), float(ends[1]))
