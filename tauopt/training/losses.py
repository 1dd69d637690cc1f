"""The loss: once for Keras, once in numpy for a split whose probabilities are known."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tauopt.config.experiment import Training

EPSILON = 1e-7
"""Keras clips probabilities to [EPSILON, 1 - EPSILON]."""


def keras_loss(training: Training) -> Any:
    """Return the loss of the settings, on class probabilities and one-hot labels.

    Source of the focal loss: Lin et al., arXiv:1708.02002; without its alpha, since classes are
    balanced by weights.
    """
    if training.loss == "focal":
        return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=training.focal_gamma)
    return keras.losses.CategoricalCrossentropy()


def mean_loss(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    weights: npt.NDArray[np.floating],
    *,
    training: Training,
) -> float:
    """Return the weighted mean of the same loss.

    Args:
        probabilities: (candidate, class).
        labels: (candidate,) index of the true class.
        weights: (candidate,) as in training: physics weights times class weights.
    """
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    true = np.clip(true, EPSILON, 1 - EPSILON)
    loss = -np.log(true)
    if training.loss == "focal":
        loss *= (1 - true) ** training.focal_gamma
    return float(np.average(loss, weights=weights))
