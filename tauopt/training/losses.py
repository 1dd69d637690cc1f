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
    smoothing = training.label_smoothing
    if training.loss == "focal":
        return keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0, gamma=training.focal_gamma, label_smoothing=smoothing
        )
    return keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)


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
    loss = _each(probabilities[np.arange(len(labels)), labels], training)
    if smoothing := training.label_smoothing:
        every = _each(probabilities, training).mean(axis=1)
        loss = (1 - smoothing) * loss + smoothing * every
    return float(np.average(loss, weights=weights))


def _each(p: npt.NDArray[np.float32], training: Training) -> npt.NDArray[np.float64]:
    """Return the loss of classes that are true and have these probabilities."""
    p64 = np.clip(p.astype(np.float64), EPSILON, 1 - EPSILON)
    loss: npt.NDArray[np.float64] = -np.log(p64)
    return loss * (1 - p64) ** training.focal_gamma if training.loss == "focal" else loss
