"""The loss in two parts: signal or which background, and which signal class if it is signal.

The probability of a signal class is P(signal) P(class | signal), so cross-entropy is the sum of
both parts, of which true background feels only the first. `mode_weight` scales the second.
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

LEAST, MOST = 1e-30, 1 - 1e-7
"""Probabilities are clipped to this before their logarithm: wide enough that a softmax, however
sure and wrong, still feels its gradient, and narrow enough that this is finite in float32."""


def has_parts(spec: InputSpec, training: Training) -> bool:
    """Tell whether the loss of a task is in two parts."""
    return bool(spec.background) and (spec.heads == "two" or training.mode_weight != 1)


class LossInParts(keras.losses.Loss):
    """The loss in parts of class probabilities (N, class) and one-hot labels (N, class)."""

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
        """Return the loss of one part, (N,)."""
        if smoothing := self.training.label_smoothing:
            true = (1 - smoothing) * true + smoothing / true.shape[-1]
        p = ops.clip(p, LEAST, MOST)
        each = -true * ops.log(p)
        if self.training.loss == "focal":
            each = each * (1 - p) ** self.training.focal_gamma
        return ops.sum(each, axis=-1)


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
        training: says which loss.
    """
    p = probabilities.astype(np.float64)
    background, signal = np.flatnonzero(~is_signal), np.flatnonzero(is_signal)
    p_signal = p[:, signal].sum(axis=1, keepdims=True)
    true_signal = is_signal[labels]
    place = np.empty(len(is_signal), np.intp)
    place[background], place[signal] = np.arange(len(background)), len(background)
    outcomes = np.concatenate([p[:, background], p_signal], axis=1)
    losses = _part(outcomes, place[labels], training)
    place[signal] = np.arange(len(signal))
    modes = p[true_signal][:, signal] / np.maximum(p_signal[true_signal], LEAST)
    mode_losses = _part(modes, place[labels[true_signal]], training)
    losses[true_signal] += training.mode_weight * mode_losses
    return losses


def _part(
    p: npt.NDArray[np.float64], true: npt.NDArray[np.intp], training: Training
) -> npt.NDArray[np.float64]:
    p = np.clip(p, LEAST, MOST)
    each = -np.log(p)
    if training.loss == "focal":
        each *= (1 - p) ** training.focal_gamma
    smoothing = training.label_smoothing
    named = each[np.arange(len(true)), true]
    return np.asarray((1 - smoothing) * named + smoothing * each.mean(axis=1))
