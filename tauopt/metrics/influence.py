"""Influence of each candidate on a metric: paired errors of differences without resampling.

The error of a metric is the root of the sum of squared influences; that of the difference of two
networks on the same candidates the root of the sum of squared differences. Sums of influences over
a few hundred groups of candidates give nearly the same errors, and are so small that every report
of every trial can keep them.
"""

from __future__ import annotations

import base64
import math

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName
from tauopt.metrics.background_rejection import band_mean
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import Roc, roc

Floats = NDArray[np.float64]

GROUPS = 256
"""Groups of candidates: an error from their sums is itself known within 4 %."""


def natural_scale(objective: ObjectiveName, value: float) -> float:
    """Return a value on the scale on which its error hardly depends on it.

    That is the logarithm for a rejection, and the value itself for others.
    """
    return math.log(value) if objective.metric == "rejection" else value


def influence(objective: ObjectiveName, predictions: Predictions) -> Floats:
    """Return the influence of each candidate on a metric, (N,), on its `natural_scale`.

    Args:
        objective: the metric.
        predictions: of the N candidates; those that the metric leaves out have no influence.
    Raises:
        DataError: the metric is undefined (see `named_metrics.measure`).
    """
    if objective.prongs is not None:
        result = np.zeros(len(predictions))
        chosen = predictions.with_prongs(objective.prongs)
        result[predictions.columns["prongs"] == objective.prongs] = _influence(objective, chosen)
        return result
    return _influence(objective, predictions)


def _influence(objective: ObjectiveName, predictions: Predictions) -> Floats:
    if objective.metric == "accuracy":
        return _of_fraction(_is_right(predictions), predictions.weights)
    if objective.metric == "balanced_accuracy":
        return _of_balanced_accuracy(predictions)
    curve = roc(predictions.score, predictions.is_signal, predictions.weights)
    if objective.at is None:
        signal, background = _of_area(curve)
    else:
        mean = band_mean(curve, objective.efficiencies, log=objective.metric == "rejection")
        signal, background = mean.signal_influence, mean.background_influence
    weights, is_signal = predictions.weights, predictions.is_signal
    # Thresholds descend from infinity; a candidate is at the point of its own score.
    point = np.searchsorted(-curve.thresholds, -predictions.score)
    totals = weights[is_signal].sum(), weights[~is_signal].sum()
    return np.asarray(
        np.where(
            is_signal, weights / totals[0] * signal[point], weights / totals[1] * background[point]
        )
    )


def _of_area(curve: Roc) -> tuple[Floats, Floats]:
    """Return the influence of signal and background on the area, (point,): DeLong's placements."""
    below = 1.0 - 0.5 * (curve.background[1:] + curve.background[:-1])
    above = 0.5 * (curve.signal[1:] + curve.signal[:-1])
    signal = np.concatenate([[0.0], below - np.sum(np.diff(curve.signal) * below)])
    background = np.concatenate([[0.0], above - np.sum(np.diff(curve.background) * above)])
    return signal, background


def _is_right(predictions: Predictions) -> NDArray[np.bool_]:
    return np.asarray(predictions.probabilities.argmax(axis=1) == predictions.labels)


def _of_fraction(passes: NDArray[np.bool_], weights: Floats) -> Floats:
    share = weights / weights.sum()
    return np.asarray(share * (passes - np.sum(share[passes])))


def _of_balanced_accuracy(predictions: Predictions) -> Floats:
    right, result = _is_right(predictions), np.zeros(len(predictions))
    by_class = [predictions.labels == index for index in range(len(predictions.classes))]
    present = [chosen for chosen in by_class if predictions.weights[chosen].sum() > 0]
    for chosen in present:
        result[chosen] = _of_fraction(right[chosen], predictions.weights[chosen]) / len(present)
    return result


def grouped(influences: Floats, groups: int = GROUPS) -> NDArray[np.float32]:
    """Return the sums of influences, (N,), over groups of candidates, (group,) float32.

    The group of a candidate is its position modulo the number of groups: prepared splits are
    shuffled, and the same candidate is in the same group for every network.
    """
    position = np.arange(len(influences)) % groups
    return np.bincount(position, influences, minlength=groups).astype(np.float32)


def packed(sums: NDArray[np.float32]) -> str:
    """Return grouped influences as text for a database: their norm, and float16 in units of it."""
    norm = float(np.linalg.norm(sums)) or 1.0
    return f"{norm:.6e} " + base64.b64encode((sums / norm).astype("<f2").tobytes()).decode()


def unpacked(text: str) -> NDArray[np.float32]:
    """Return grouped influences from their text."""
    norm, _, numbers = text.partition(" ")
    return np.frombuffer(base64.b64decode(numbers), "<f2").astype(np.float32) * np.float32(norm)
