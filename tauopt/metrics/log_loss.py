"""Cross-entropy: of what an objective separates, alike for trials of all losses, or of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName
from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions

_LEAST = 1e-7
"""Smallest probability, as in Keras's losses."""


def log_loss(objective: ObjectiveName, predictions: Predictions) -> float:
    """Return the mean of -ln(probability of the truth), each outcome with the same weight.

    The outcomes are signal and background if the objective compares these, else the classes. It
    depends on no setting of the training, and all candidates count: so it fluctuates less than a
    rejection, which few of them decide.

    Args:
        objective: gives the outcomes and the number of prongs.
        predictions: with candidates of each outcome.
    Raises:
        DataError: there is no column `prongs` and the objective selects by it.
    """
    if objective.prongs is not None:
        predictions = predictions.with_prongs(objective.prongs)
    if objective.needs_background:
        outcome = predictions.is_signal.astype(np.int64)
        p = np.where(predictions.is_signal, predictions.score, 1.0 - predictions.score)
    else:
        outcome = predictions.labels.astype(np.int64)
        p = _of_truth(predictions)
    losses = -np.log(np.clip(p, _LEAST, 1.0)) * predictions.weights
    sums = np.bincount(outcome, predictions.weights)
    present = sums > 0
    return float(np.mean(np.bincount(outcome, losses)[present] / sums[present]))


def neg_log_loss(predictions: Predictions) -> Estimate:
    """Return minus the log loss of the classes, with its 68 % interval: larger is better.

    Raises:
        DataError: a probability is not finite, or weights do not add up to more than zero.
    Source:
        `neg_log_loss` of scikit-learn's scorers.
    """
    total = float(predictions.weights.sum())
    losses = candidate_losses(predictions)
    if not total > 0.0 or not np.isfinite(losses).all():
        raise DataError(
            "the log loss needs finite probabilities and a positive sum of weights; got "
            f"{np.count_nonzero(~np.isfinite(losses))} of {len(losses)} candidates without the "
            f"former, sum of weights {total:.4g}"
        )
    value = -float(np.sum(predictions.weights * losses)) / total
    error = float(np.linalg.norm(predictions.weights * (losses + value))) / total
    return Estimate(value, value - error, value + error)


def candidate_losses(predictions: Predictions) -> NDArray[np.float64]:
    """Return -ln(probability of the true class) of each candidate, (N,)."""
    return np.asarray(-np.log(np.clip(_of_truth(predictions), _LEAST, 1.0)))


def _of_truth(predictions: Predictions) -> NDArray[np.float64]:
    labels = predictions.labels.astype(np.int64)
    return predictions.probabilities[np.arange(len(labels)), labels].astype(np.float64)
