"""Losses of class probabilities: for Keras, and in numpy for a split of known probabilities.

Cross-entropy or focal loss of all classes, or the loss in two parts. The two parts are: which
background or signal at all, and which signal class if it is signal. The probability of a signal
class is P(signal) P(class | signal), so cross-entropy is the sum of both parts, and true background
contributes to the first part only. `mode_weight` scales the second part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from tauopt.config.settings.experiment import Training
from tauopt.config.settings.inputs import InputSpec

EPSILON = 1e-7
"""Keras clips probabilities to [EPSILON, 1 - EPSILON]."""
LEAST, MOST = 1e-30, 1 - 1e-7
"""Range of probabilities in the loss in parts: wide enough that a softmax with a confident wrong
answer still has a gradient, and narrow enough that the logarithm is finite in float32."""


def has_parts(spec: InputSpec, training: Training) -> bool:
    """Return whether the loss of a task is in two parts."""
    return bool(spec.background) and (spec.heads == "two" or training.mode_weight != 1)


def keras_loss(training: Training, *, spec: InputSpec | None = None) -> Any:
    """Return the loss of the settings, a function of class probabilities and one-hot labels.

    Source of the focal loss: Lin et al., arXiv:1708.02002; without its alpha, because class weights
    balance the classes.

    Args:
        training: kind of loss and its settings.
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


class LossInParts(keras.losses.Loss):
    """Loss in two parts, of class probabilities (N, class) and one-hot labels (N, class)."""

    def __init__(self, training: Training, is_signal: Sequence[bool]) -> None:
        """Take the settings, and which classes are signal, in the order of the last axis."""
        super().__init__(name="loss_in_parts")
        self.training = training
        self.signal = np.flatnonzero(is_signal).astype(np.int32)
        self.background = np.flatnonzero(np.logical_not(is_signal)).astype(np.int32)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each candidate, (N,)."""
        modes, p_modes = (ops.take(y, self.signal, axis=-1) for y in (y_true, y_pred))
        others, p_others = (ops.take(y, self.background, axis=-1) for y in (y_true, y_pred))
        is_signal, p_signal = (ops.sum(y, axis=-1, keepdims=True) for y in (modes, p_modes))
        identification = self._part(
            ops.concatenate([others, is_signal], axis=-1),
            ops.concatenate([p_others, p_signal], axis=-1),
        )
        mode = self._part(modes, p_modes / ops.maximum(p_signal, LEAST))
        return identification + self.training.mode_weight * is_signal[:, 0] * mode

    def _part(self, true: Any, p: Any) -> Any:
        """Return the loss of one part, (N,), for one-hot labels and probabilities (N, outcome)."""
        if smoothing := self.training.label_smoothing:
            true = (1 - smoothing) * true + smoothing / true.shape[-1]
        p = ops.clip(p, LEAST, MOST)
        losses = -true * ops.log(p)
        if self.training.loss == "focal":
            losses = losses * (1 - p) ** self.training.focal_gamma
        return ops.sum(losses, axis=-1)


def mean_loss(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    weights: npt.NDArray[np.floating],
    *,
    training: Training,
    spec: InputSpec | None = None,
) -> float:
    """Return the weighted mean of the same loss, in numpy.

    Args:
        probabilities: (candidate, class).
        labels: (candidate,) index of the true class.
        weights: (candidate,) as in training: physics weights times class weights.
        training, spec: as for `keras_loss`.
    """
    if spec is not None and has_parts(spec, training):
        is_signal = np.array([name in spec.signal for name in spec.classes])
        losses = losses_in_parts(probabilities, labels, is_signal=is_signal, training=training)
        return float(np.average(losses, weights=weights))
    p = np.clip(probabilities.astype(np.float64), EPSILON, 1 - EPSILON)
    return float(np.average(_one_part(p, labels, training), weights=weights))


def losses_in_parts(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    *,
    is_signal: npt.NDArray[np.bool_],
    training: Training,
) -> npt.NDArray[np.float64]:
    """Return the loss of each candidate, (candidate,): `LossInParts` in numpy.

    Args:
        probabilities: (candidate, class).
        labels: (candidate,) index of the true class.
        is_signal: (class,) bool.
        training: kind of loss and its settings.
    """
    p = probabilities.astype(np.float64)
    background, signal = np.flatnonzero(~is_signal), np.flatnonzero(is_signal)
    p_signal = p[:, signal].sum(axis=1, keepdims=True)
    true_signal = is_signal[labels]
    outcome_of_class = np.empty(len(is_signal), np.intp)  # each background, then signal at all
    outcome_of_class[background] = np.arange(len(background))
    outcome_of_class[signal] = len(background)
    outcomes = np.clip(np.concatenate([p[:, background], p_signal], axis=1), LEAST, MOST)
    losses = _one_part(outcomes, outcome_of_class[labels], training)
    mode_of_class = np.zeros(len(is_signal), np.intp)
    mode_of_class[signal] = np.arange(len(signal))
    modes = p[true_signal][:, signal] / np.maximum(p_signal[true_signal], LEAST)
    mode_labels = mode_of_class[labels[true_signal]]
    mode_losses = _one_part(np.clip(modes, LEAST, MOST), mode_labels, training)
    losses[true_signal] += training.mode_weight * mode_losses
    return losses


def _one_part(
    p: npt.NDArray[np.float64], true: npt.NDArray[np.integer], training: Training
) -> npt.NDArray[np.float64]:
    """Return the losses, (candidate,), for clipped probabilities (candidate, outcome)."""
    losses = -np.log(p)
    if training.loss == "focal":
        losses *= (1 - p) ** training.focal_gamma
    smoothing = training.label_smoothing
    of_truth = losses[np.arange(len(true)), true]
    return np.asarray((1 - smoothing) * of_truth + smoothing * losses.mean(axis=1))
