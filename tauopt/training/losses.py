"""The loss: once for Keras, once in numpy for a split whose probabilities are known."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tauopt.config.settings.experiment import Training
from tauopt.config.settings.inputs import InputSpec
from tauopt.training.losses_in_parts import LossInParts, has_parts, losses_in_parts

EPSILON = 1e-7
"""Keras clips probabilities to [EPSILON, 1 - EPSILON]."""


def keras_loss(training: Training, *, spec: InputSpec | None = None) -> Any:
    """Return the loss of the settings, on class probabilities and one-hot labels.

    Source of the focal loss: Lin et al., arXiv:1708.02002; without its alpha, since classes are
    balanced by weights.

    Args:
        training: says which.
        spec: task of the network; None is one whose loss has one part.
    """
    smoothing = training.label_smoothing
    if spec is not None and has_parts(spec, training):
        return LossInParts(training, [name in spec.signal for name in spec.classes])
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
    spec: InputSpec | None = None,
) -> float:
    """Return the weighted mean of the same loss.

    Args:
        probabilities: (candidate, class).
        labels: (candidate,) index of the true class.
        weights: (candidate,) as in training: physics weights times class weights.
        training, spec: as `keras_loss` takes them.
    """
    if spec is not None and has_parts(spec, training):
        is_signal = np.array([name in spec.signal for name in spec.classes])
        losses = losses_in_parts(probabilities, labels, is_signal=is_signal, training=training)
        return float(np.average(losses, weights=weights))
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
