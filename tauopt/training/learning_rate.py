"""Learning-rate schedule as a function of the candidates seen, set inside the training step.

It is part of the step's graph, without Python between steps, and does not depend on the number of
steps: so batches may grow, and a resumed training continues at the same rate.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tauopt.config.settings.experiment import Training
from tauopt.training.optimizers import Sgd

START = 1 / 25
"""Initial rate of `one_cycle` as a fraction of its peak, as in PyTorch and fastai."""


class LearningRate:
    """Sets an optimizer's learning rate for each batch, by a schedule.

    Attributes:
        variables: variables that a checkpoint keeps: candidates seen, and the schedule's peak.
    """

    def __init__(self, training: Training, optimizer: Any, *, total: int) -> None:
        """Take the settings, a built optimizer, and the number of candidates of all epochs."""
        self._training, self._optimizer, self._total = training, optimizer, total
        self._seen = keras.Variable(0, dtype="int64", trainable=False, name="seen")
        self._peak = keras.Variable(training.learning_rate, trainable=False, name="peak")
        self.variables = [self._seen, self._peak]

    def advance(self, candidates: Any) -> None:
        """Set the rate of the next batch; part of the graph of a training step."""
        seen, batch = tf.convert_to_tensor(self._seen), tf.cast(candidates, tf.int64)
        # The rate at the batch's middle: then neither the first nor the last batch has a rate of
        # zero, and the sum over an epoch of rate times candidates hardly depends on batch sizes.
        middle = tf.cast(2 * seen + batch, tf.float64) / (2 * self._total)
        rate, height = relative_rate(self._training, middle, total=self._total)
        self._optimizer.learning_rate.assign(self._peak * tf.cast(rate, tf.float32))
        inner = getattr(self._optimizer, "inner_optimizer", self._optimizer)
        if isinstance(inner, Sgd) and inner.changing_momentum is not None:
            momentum = self._training.momentum - self._training.momentum_dip * height
            inner.changing_momentum.assign(tf.cast(tf.maximum(momentum, 0.0), tf.float32))
        self._seen.assign(seen + batch)

    def scale(self, factor: float) -> None:
        """Multiply the peak, and so all later rates."""
        self._peak.assign(self._peak * factor)


def rate_varies(training: Training) -> bool:
    """Return whether the learning rate varies from batch to batch."""
    return training.schedule != "constant" or training.warm_up > 0


def relative_rate(training: Training, progress: Any, *, total: int) -> tuple[Any, Any]:
    """Return the learning rate as a fraction of its peak, and the height of the rise to the peak.

    The height, from 0 to 1, also scales the dip of the momentum in `one_cycle`.

    Sources: cosine, Loshchilov and Hutter, arXiv:1608.03983, without restarts; one cycle, Smith
    and Topin, arXiv:1708.07120, in fastai's form, where both halves are cosines.

    Args:
        training: schedule, `warm_up`, `peak_at`, `final_rate`.
        progress: float64 tensor, 0 at the beginning of the training, 1 at its end.
        total: number of candidates of all epochs.
    Raises:
        ValueError: there is no such schedule.
    """
    if training.schedule == "one_cycle":
        rises = progress < training.peak_at
        height = _bump(progress, training.peak_at)
        low = tf.where(rises, tf.constant(START, tf.float64), training.final_rate)
        return low + (1 - low) * height, height
    warm_up = training.warm_up if training.warm_up < 1 else min(training.warm_up / total, 1.0)
    risen = tf.minimum(progress / warm_up, 1.0) if warm_up else tf.ones_like(progress)
    if training.schedule == "constant":
        return risen, risen
    if training.schedule == "cosine":
        fallen = _bump(progress, warm_up) if warm_up < 1 else 1.0
        falling = training.final_rate + (1 - training.final_rate) * fallen
        return tf.where(progress < warm_up, risen, falling), risen
    raise ValueError(f"expected constant, cosine or one_cycle, got {training.schedule!r}")


def _bump(progress: Any, top: float) -> Any:
    """Rise from 0 at the beginning to 1 at `top`, and fall to 0 at the end, along cosines."""
    up = progress / top if top else tf.ones_like(progress)
    down = (1 - progress) / (1 - top)
    distance = tf.clip_by_value(tf.minimum(up, down), 0.0, 1.0)
    return (1 - tf.cos(math.pi * distance)) / 2
