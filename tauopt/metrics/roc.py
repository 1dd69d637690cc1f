"""The weighted ROC curve: its points, area and background rejection, with errors.

Monte Carlo weights may be negative. Then neither efficiency need rise along the curve: adding a
candidate can lower it. The points stay as they come, in the order of descending score; sorting
one axis, as a library might to silence its own check, would pair efficiencies of different cuts.
Areas need no order: they are sums over pairs. A cut with a given signal efficiency may exist
more than once: coming from tight cuts one meets the first, from loose cuts the last. Both are
estimates of the same quantile and their biases are opposite, so the mean of the two background
efficiencies is taken. With positive weights they are one and the same cut.

Tied candidates pass together; between the points before and after them the curve is a straight
line, as if the tie were broken at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate, wilson

Floats = NDArray[np.float64]

_TINY = 1e-9
"""Efficiencies closer than this are equal: sums of weights are not exact."""
_WIDEST = 50.0
"""Largest logarithm of an interval's end over its value: keeps hopeless cases finite."""


@dataclass(frozen=True)
class Roc:
    """Points of a ROC curve from the tightest cut (nothing passes) to the loosest (all pass).

    Attributes:
        thresholds: (point,) the score that a candidate must reach; the first is infinite.
        signal: (point,) efficiency; 0 first and 1 last.
        background: (point,) efficiency.
        signal_squares: (point,) sum of squared weights that this point adds, over the squared
            sum of all weights.
        background_squares: likewise.
    """

    thresholds: Floats
    signal: Floats
    background: Floats
    signal_squares: Floats
    background_squares: Floats

    @property
    def n_signal(self) -> float:
        """Effective number of signal candidates, (sum w)^2 / sum w^2."""
        return float(1.0 / self.signal_squares.sum())

    @property
    def n_background(self) -> float:
        """Effective number of background candidates."""
        return float(1.0 / self.background_squares.sum())


def roc(score: NDArray[np.floating], is_signal: NDArray[np.bool_], weights: Floats) -> Roc:
    """Return the weighted ROC curve of `score`.

    Args:
        score: (N,) higher is more like signal.
        is_signal: (N,) bool.
        weights: (N,) may be negative.
    Raises:
        DataError: a score or weight is not finite, or the weights of signal or of background
            do not add up to more than zero (one class only, for instance).
    """
    if not (np.isfinite(score).all() and np.isfinite(weights).all()):
        raise DataError("scores and weights must be finite; the network or its input is broken")
    signal = np.where(is_signal, weights, 0.0)
    background = np.where(is_signal, 0.0, weights)
    sums = float(signal.sum()), float(background.sum())
    if min(sums) <= 0.0:
        counts = int(is_signal.sum()), int((~is_signal).sum())
        raise DataError(
            "a ROC curve needs signal and background with positive sums of weights; got "
            f"{counts[0]} signal candidates (sum of weights {sums[0]:.4g}) and "
            f"{counts[1]} background candidates ({sums[1]:.4g})"
        )
    order = np.argsort(-score, kind="stable")
    ends = tie_ends(score[order])
    return Roc(
        thresholds=np.concatenate([[np.inf], score[order][ends]]),
        signal=cumulated(signal[order], ends) / sums[0],
        background=cumulated(background[order], ends) / sums[1],
        signal_squares=np.diff(cumulated(signal[order] ** 2, ends), prepend=0.0) / sums[0] ** 2,
        background_squares=np.diff(cumulated(background[order] ** 2, ends), prepend=0.0)
        / sums[1] ** 2,
    )


def tie_ends(descending: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the index of the last candidate of each run of equal scores."""
    return np.flatnonzero(np.append(descending[1:] != descending[:-1], True))


def cumulated(values: Floats, ends: NDArray[np.intp]) -> Floats:
    """Return sums of `values` up to each of `ends`, with a zero before them."""
    return np.concatenate([[0.0], np.cumsum(values)[ends]])


def area(signal: Floats, background: Floats) -> float:
    """Return the area under a ROC curve from its efficiencies, each (point,)."""
    # No `@` here and below: BLAS starts threads for it, which wait for each other on a busy node.
    return float(np.sum(np.diff(signal) * (1.0 - 0.5 * (background[1:] + background[:-1]))))


def auc(curve: Roc) -> Estimate:
    """Return the area under the curve: how often signal scores above background.

    It is the weighted sum over all pairs, ties counted half, which is right for negative weights
    too. The error is DeLong's, with squared weights in his two sums: exact to first order, no
    normal scores assumed (Hanley's), and as fast as the area itself (a bootstrap is not). Where
    his variance vanishes, as when no pair is in the wrong order, the interval is 1 / (n + 1) wide,
    n the smaller effective number.

    Source:
        E. R. DeLong et al., Biometrics 44 (1988) 837.
    """
    value = area(curve.signal, curve.background)
    below = 1.0 - 0.5 * (curve.background[1:] + curve.background[:-1])
    above = 0.5 * (curve.signal[1:] + curve.signal[:-1])
    variance = 0.0
    for squares, placement in (
        (curve.signal_squares, below),
        (curve.background_squares, above),
    ):
        number = 1.0 / squares.sum()
        unbias = number / (number - 1.0) if number > 1.0 else 1.0
        variance += unbias * float(np.sum(squares[1:] * (placement - value) ** 2))
    fewest = min(curve.n_signal, curve.n_background)
    spread = np.sqrt(variance) if variance > 0.0 else 1.0 / (fewest + 1.0)
    return Estimate(
        value, min(value, max(0.0, value - spread)), max(value, min(1.0, value + spread))
    )


def at_signal_efficiency(signal: Floats, values: Floats, at: Floats) -> Floats:
    """Return `values` along the curve where the signal efficiency is `at`.

    Args:
        signal: (point,) signal efficiency; need not rise.
        values: (point,) what is wanted, for instance the background efficiency.
        at: (A,) signal efficiencies above 0 and up to 1.
    Returns:
        (A,) mean of the first and the last crossing (see the module).
    """
    target = at - _TINY
    first = np.searchsorted(np.maximum.accumulate(signal), target)
    last = np.searchsorted(np.minimum.accumulate(signal[::-1])[::-1], target)
    found = [_between(signal, values, at, np.clip(i, 1, len(signal) - 1)) for i in (first, last)]
    return np.asarray(0.5 * (found[0] + found[1]))


def _between(signal: Floats, values: Floats, at: Floats, index: NDArray[np.intp]) -> Floats:
    step = signal[index] - signal[index - 1]
    part = np.clip((at - signal[index - 1]) / np.where(step > 0, step, 1.0), 0.0, 1.0)
    return np.asarray(values[index - 1] + part * (values[index] - values[index - 1]))


def rejections(curve: Roc, at: Floats) -> list[Estimate]:
    """Return the background rejection (1 / efficiency) at signal efficiencies `at`, (A,).

    The error has two parts, added in quadrature on the logarithm: the background that passes
    (Wilson's interval at the effective number of candidates), and the cut itself, which a finite
    signal sample fixes only to within the error of its efficiency; that is carried over by the
    slope of the curve, taken across two such errors to either side.

    Where no background passes (or less than none, with negative weights) the rejection can't be
    measured. Then value, low and high are the finite lower limit n + 1, the inverse of the upper
    end of Wilson's 68 % interval for none of n, with n = (sum w)^2 / sum w^2 of all background.

    Raises:
        DataError: an efficiency is not above 0 and up to 1.
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
    moved = 0.5 * shift * np.abs(looser - tighter) / width
    number = curve.n_background
    return [
        _rejection(*values, number=number)
        for values in zip(passed.tolist(), variance.tolist(), moved.tolist(), strict=True)
    ]


def _variance(curve: Roc, squares: Floats, at: Floats, fraction: Floats) -> Floats:
    """Variance of a weighted fraction: the sum of w^2 (passes - fraction)^2 over (sum w)^2."""
    kept = at_signal_efficiency(curve.signal, np.cumsum(squares), at)
    rest = squares.sum() - kept
    return np.asarray(np.maximum(kept, 0) * (1 - fraction) ** 2 + np.maximum(rest, 0) * fraction**2)


def _rejection(passed: float, variance: float, moved: float, *, number: float) -> Estimate:
    if passed <= _TINY:
        limit = number + 1.0
        return Estimate(limit, limit, limit, limit=True)
    low, high = wilson(passed, variance, number)
    cut = moved / passed
    up = np.hypot(np.log(passed / max(low, _TINY * passed)), cut)
    down = np.hypot(np.log(high / passed), cut)
    ends = np.exp(np.clip([-down, up], -_WIDEST, _WIDEST)) / passed
    return Estimate(1.0 / passed, float(ends[0]), float(ends[1]))
