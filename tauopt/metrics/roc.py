"""The weighted ROC curve: its points, area and background rejections, with errors.

Monte Carlo weights may be negative: then neither efficiency need rise along the curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate

Floats = NDArray[np.float64]

_TINY = 1e-9
"""Efficiencies closer than this are equal: sums of weights are not exact."""


@dataclass(frozen=True)
class Roc:
    """Points of a ROC curve from the tightest cut (nothing passes) to the loosest (all pass).

    Attributes:
        thresholds: (point,) the score that a candidate must reach; the first is infinite.
        signal: (point,) efficiency; 0 first and 1 last.
        background: (point,) efficiency.
        signal_squares: (point,) sum of squared weights that this point adds, over the squared
            sum of all weights.
        background_squares: (point,) likewise.
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
    if bad := np.count_nonzero(~(np.isfinite(score) & np.isfinite(weights))):
        raise DataError(
            f"scores and weights must be finite, got others for {bad} of {len(score)} candidates; "
            "the network or its input is broken"
        )
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
    # The points stay in the order of descending score, also where negative weights lower an
    # efficiency: sorting one axis, as a library might to silence its own check, would pair
    # efficiencies of different cuts.
    order = np.argsort(-score, kind="stable")
    # Tied candidates pass together; between the points before and after them the curve is a
    # straight line, as if the tie were broken at random.
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
    # The sum over pairs of points is right whatever their order.
    # No `@` here and below: BLAS starts threads for it, which wait for each other on a busy node.
    return float(np.sum(np.diff(signal) * (1.0 - 0.5 * (background[1:] + background[:-1]))))


def auc(curve: Roc) -> Estimate:
    """Return the area under the ROC curve, with DeLong's error.

    The area is the weighted fraction of signal-background pairs in which signal scores higher, ties
    counted half; this holds for negative weights too. The error is DeLong's, with squared weights
    in his two sums: exact to first order, without the normal scores that Hanley's assumes, and as
    fast as the area itself (a bootstrap is not). Where his variance vanishes, as when no pair is in
    the wrong order, the interval is 1 / (n + 1) wide, n the smaller effective number.

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
        bessel = number / (number - 1.0) if number > 1.0 else 1.0
        variance += bessel * float(np.sum(squares[1:] * (placement - value) ** 2))
    fewest = min(curve.n_signal, curve.n_background)
    spread = np.sqrt(variance) if variance > 0.0 else 1.0 / (fewest + 1.0)
    return Estimate(
        value, min(value, max(0.0, value - spread)), max(value, min(1.0, value + spread))
    )


def at_signal_efficiency(signal: Floats, values: Floats, at: Floats) -> Floats:
    """Return `values` along the curve where the signal efficiency is `at`.

    Args:
        signal: (point,) signal efficiency; need not rise.
        values: (point,) the quantity to interpolate, for instance the background efficiency.
        at: (A,) signal efficiencies above 0 and up to 1.
    Returns:
        (A,) mean of the values at the first and at the last crossing.
    """
    # With negative weights several cuts may have this signal efficiency; coming from tight cuts one
    # meets the first, from loose cuts the last. Both estimate the same quantile with opposite
    # biases, so their mean is taken. With positive weights they are the same cut.
    target = at - _TINY
    first = np.searchsorted(np.maximum.accumulate(signal), target)
    last = np.searchsorted(np.minimum.accumulate(signal[::-1])[::-1], target)
    tight, loose = (
        _between(signal, values, at, np.clip(index, 1, len(signal) - 1)) for index in (first, last)
    )
    return np.asarray(0.5 * (tight + loose))


def _between(signal: Floats, values: Floats, at: Floats, index: NDArray[np.intp]) -> Floats:
    """Interpolate linearly between the points before and at `index`, (A,)."""
    step = signal[index] - signal[index - 1]
    part = np.clip((at - signal[index - 1]) / np.where(step > 0, step, 1.0), 0.0, 1.0)
    return np.asarray(values[index - 1] + part * (values[index] - values[index - 1]))
