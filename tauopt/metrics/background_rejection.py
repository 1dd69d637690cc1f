"""Background rejection at fixed signal efficiency, or averaged over a band of them, with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class BandMean:
    """The mean, over signal efficiencies, of -ln(background efficiency) or of -(it).

    Attributes:
        value: the mean.
        signal_influence, background_influence: (point,) derivative of the mean with respect to the
            weight of a candidate at this point of the curve, relative to the sum of all weights of
            signal or of background.
        below_limit: fraction of the signal efficiencies at which less background passes than the
            sample can show.
    """

    value: float
    signal_influence: Floats
    background_influence: Floats
    below_limit: float

    def error(self, curve: Roc) -> float:
        """Return the standard deviation of the mean on the curve that it was taken from."""
        variance = np.sum(curve.signal_squares * self.signal_influence**2)
        variance += np.sum(curve.background_squares * self.background_influence**2)
        # Where nothing passes, the sample knows the efficiency within a factor e at best.
        return float(np.sqrt(variance + self.below_limit**2))


def band_mean(curve: Roc, at: Floats, *, log: bool) -> BandMean:
    """Return the mean over signal efficiencies `at`, (A,) ascending, with its influence function.

    The mean is that of -ln(background efficiency) if `log`, else of -(background efficiency). A
    background efficiency is at least 1 / (n + 1), n the effective number of background candidates,
    as in `rejections`.

    Each candidate has two effects: background that passes raises the background efficiency; signal
    shifts the cut, so the slope of the curve counts, taken as in `rejections`.

    Source:
        F. R. Hampel, J. Am. Stat. Assoc. 69 (1974) 383, for influence functions.
    """
    least = 1.0 / (curve.n_background + 1.0)
    passed = np.maximum(at_signal_efficiency(curve.signal, curve.background, at), least)
    is_known = passed > least
    shift = 2.0 * np.sqrt(_variance(curve, curve.signal_squares, at, at))
    loose, tight = np.minimum(at + shift, 1.0), np.maximum(at - shift, 2 * _TINY)
    ends = [
        np.maximum(at_signal_efficiency(curve.signal, curve.background, end), least)
        for end in (loose, tight)
    ]
    if log:
        value, gain, ends = -np.log(passed), is_known / passed, [np.log(end) for end in ends]
    else:
        value, gain = -passed, is_known.astype(np.float64)
    slope = is_known * (ends[0] - ends[1]) / np.maximum(loose - tight, _TINY)
    # A candidate at a point of the curve passes the cuts of all signal efficiencies from the
    # point's own on.
    first = np.searchsorted(at, curve.signal - _TINY)
    return BandMean(
        value=float(value.mean()),
        signal_influence=_from(slope, first) - float(np.mean(slope * at)),
        background_influence=float(np.mean(gain * passed)) - _from(gain, first),
        below_limit=float(np.mean(~is_known)) if log else 0.0,
    )


def _from(values: Floats, first: NDArray[np.intp]) -> Floats:
    """Return the sum of `values`, (A,), from index `first` on, over A."""
    sums = np.append(np.cumsum(values[::-1])[::-1], 0.0) / len(values)
    return np.asarray(sums[first])


def mean_rejection(curve: Roc, at: Floats) -> Estimate:
    """Return the geometric mean of the background rejection over signal efficiencies, (A,).

    It fluctuates less than the rejection at one of them: more background candidates pass, and the
    error of a single cut matters less. Where none passes at any of them, the value is the lower
    limit of `rejections`.
    """
    mean = band_mean(curve, at, log=True)
    value = float(np.exp(mean.value))
    if mean.below_limit == 1.0:
        return Estimate(value, value, value, limit=True)
    error = min(mean.error(curve), _WIDEST)
    return Estimate(value, value * float(np.exp(-error)), value * float(np.exp(error)))


def partial_area(curve: Roc, at: Floats) -> Estimate:
    """Return the area under a part of the ROC curve, over the width of that part.

    It is the mean of 1 - background efficiency over signal efficiencies `at`, (A,).
    """
    mean = band_mean(curve, at, log=False)
    value, error = 1.0 + mean.value, mean.error(curve)
    return Estimate(value, max(value - error, min(value, 0.0)), min(value + error, max(value, 1.0)))
