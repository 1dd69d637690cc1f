"""Influence of each candidate on a metric: paired errors of differences without resampling.

The error of a metric is the root of the sum of squared influences; that of the difference of two
networks on the same candidates the root of the sum of squared differences. Sums of influences over
a few hundred groups of candidates give nearly the same errors, and are so small that every report
of every trial can keep them.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName
from tauopt.metrics.background_rejection import band_mean
from tauopt.metrics.log_loss import candidate_losses
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.own_metric import own_influence
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import Roc

Floats = NDArray[np.float64]

GROUPS = 256
"""Groups of candidates: an error from their sums is itself known within 4 %."""


def natural_scale(objective: ObjectiveName, value: float) -> float:
    """Return a value on the scale on which its error hardly depends on it.

    That is the logarithm for a rejection, and the value itself for others.
    """
    return math.log(value) if objective.metric == "rejection" else value


def raw_value(objective: ObjectiveName, value: float) -> float:
    """Return the value that is `value` on the `natural_scale`."""
    return math.exp(value) if objective.metric == "rejection" else value


def influence(objective: ObjectiveName, predictions: Predictions) -> Floats:
    """Return the influence of each candidate on a metric, (N,), on its `natural_scale`.

    Args:
        objective: the metric; none of the user's own, which only a bootstrap knows.
        predictions: of the N candidates; those that the metric leaves out have no influence.
    Raises:
        DataError: the metric is undefined (see `named_metrics.measure`).
    """
    return _influence(objective, predictions)[0]


def _influence(objective: ObjectiveName, predictions: Predictions) -> tuple[Floats, float]:
    """Return the influences, and the error where the sample shows no more than a limit."""
    if objective.prongs is not None:
        result = np.zeros(len(predictions))
        chosen = predictions.columns.get("prongs") == objective.prongs
        selected = predictions.with_prongs(objective.prongs)
        result[chosen], limit = _influence(replace(objective, prongs=None), selected)
        return result, limit
    if objective.metric == "accuracy":
        return _of_mean(_is_right(predictions), predictions.weights), 0.0
    if objective.metric == "balanced_accuracy":
        return _of_balanced_accuracy(predictions), 0.0
    if objective.metric == "neg_log_loss":
        return _of_mean(-candidate_losses(predictions), predictions.weights), 0.0
    curve, limit = predictions.roc_curve, 0.0
    if objective.at is None:
        signal, background = _of_area(curve)
    else:
        mean = band_mean(curve, objective.efficiencies, log=objective.metric == "rejection")
        signal, background = mean.signal_influence, mean.background_influence
        limit = mean.below_limit
    weights, is_signal = predictions.weights, predictions.is_signal
    # Thresholds descend from infinity; a candidate is at the point of its own score.
    point = np.searchsorted(-curve.thresholds, -predictions.score)
    totals = weights[is_signal].sum(), weights[~is_signal].sum()
    of_signal, of_background = weights / totals[0], weights / totals[1]
    return np.where(is_signal, of_signal * signal[point], of_background * background[point]), limit


def _of_area(curve: Roc) -> tuple[Floats, Floats]:
    """Return the influence of signal and background on the area, (point,): DeLong's placements."""
    below = 1.0 - 0.5 * (curve.background[1:] + curve.background[:-1])
    above = 0.5 * (curve.signal[1:] + curve.signal[:-1])
    signal = np.concatenate([[0.0], below - np.sum(np.diff(curve.signal) * below)])
    background = np.concatenate([[0.0], above - np.sum(np.diff(curve.background) * above)])
    return signal, background


def _is_right(predictions: Predictions) -> NDArray[np.bool_]:
    return np.asarray(predictions.probabilities.argmax(axis=1) == predictions.labels)


def _of_mean(values: NDArray[np.bool_] | Floats, weights: Floats) -> Floats:
    share = weights / weights.sum()
    return np.asarray(share * (values - np.sum(share * values)))


def _of_balanced_accuracy(predictions: Predictions) -> Floats:
    right, result = _is_right(predictions), np.zeros(len(predictions))
    by_class = [predictions.labels == index for index in range(len(predictions.classes))]
    present = [chosen for chosen in by_class if predictions.weights[chosen].sum() > 0]
    for chosen in present:
        result[chosen] = _of_mean(right[chosen], predictions.weights[chosen]) / len(present)
    return result


@dataclass(frozen=True)
class PairedValue:
    """A metric on its natural scale, with what a paired comparison needs.

    Attributes:
        value: on `natural_scale`.
        influence: (group + 1,) float32, sums of the influences of the candidates of each group;
            last an error of its own where the sample shows no more than a limit.
    """

    value: float
    influence: NDArray[np.float32]

    @property
    def error(self) -> float:
        """Standard deviation of the value, for another sample of candidates."""
        return float(np.linalg.norm(self.influence))

    def ahead_of(self, other: PairedValue) -> tuple[float, float]:
        """Return this value less another one on the same candidates, and its standard deviation."""
        return self.value - other.value, float(np.linalg.norm(self.influence - other.influence))

    def __str__(self) -> str:
        """Return a text for a database: 700 characters, with a precision of 0.1 %."""
        error = self.error or 1.0
        numbers = (self.influence / error).astype("<f2").tobytes()
        return f"{self.value:.9g} {error:.6g} {base64.b64encode(numbers).decode()}"

    @classmethod
    def parse(cls, text: str) -> PairedValue:
        """Return the value with that text."""
        value, error, numbers = text.split(" ")
        influence = np.frombuffer(base64.b64decode(numbers), "<f2").astype(np.float32)
        return cls(float(value), influence * np.float32(error))


def paired_value(
    objective: ObjectiveName, predictions: Predictions, *, value: float | None = None
) -> PairedValue:
    """Return a metric of predictions with the grouped influences of their candidates.

    Args:
        objective: the metric.
        predictions: of all candidates, in the order that all networks have.
        value: the metric, where the caller has measured it already.
    Raises:
        DataError: the metric is undefined (see `named_metrics.measure`).
    """
    if value is None:
        value = measure(objective, predictions).value
    if objective.metric == "own":
        chosen = predictions
        if objective.prongs is not None:
            chosen = predictions.with_prongs(objective.prongs)
        deviations = own_influence(objective, chosen, size=GROUPS + 1)
        return PairedValue(value, deviations.astype(np.float32))
    influences, limit = _influence(objective, predictions)
    sums = np.append(grouped(influences), np.float32(limit))
    return PairedValue(natural_scale(objective, value), sums)


def grouped(influences: Floats) -> NDArray[np.float32]:
    """Return the sums of influences, (N,), over groups of candidates, (group,) float32.

    The group of a candidate is its position modulo the number of groups: prepared splits are
    shuffled, and the same candidate is in the same group for every network.
    """
    position = np.arange(len(influences)) % GROUPS
    return np.bincount(position, influences, minlength=GROUPS).astype(np.float32)
