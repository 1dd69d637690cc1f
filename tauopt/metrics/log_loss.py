"""Cross-entropy of what an objective separates, alike for trials of all losses."""

from __future__ import annotations

import numpy as np

from tauopt.config.settings.objective import ObjectiveName
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
        p = predictions.probabilities[np.arange(len(outcome)), outcome].astype(np.float64)
    losses = -np.log(np.clip(p, _LEAST, 1.0)) * predictions.weights
    sums = np.bincount(outcome, predictions.weights)
    present = sums > 0
    return float(np.mean(np.bincount(outcome, losses)[present] / sums[present]))
