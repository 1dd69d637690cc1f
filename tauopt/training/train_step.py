"""The training step: Keras's, with a learning-rate schedule and a moving average of weights in it.

Both are part of the step's graph: nothing is done in Python between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tauopt.training.learning_rate import LearningRate


class Averages:
    """Exponential moving averages of weights over the steps of a training.

    Each step an average takes a share of 1 - `momentum` of the weight. While there were few steps
    that share is larger, 9 / (10 + steps), so that the beginning is soon forgotten (as in
    TensorFlow's ExponentialMovingAverage with `num_updates`). Moving statistics of batch
    normalisation are averaged like weights: they belong to them.

    Attributes:
        variables: the averages; what a checkpoint keeps.
    """

    def __init__(self, weights: Sequence[keras.Variable], *, momentum: float) -> None:
        """Begin with the weights as they are; those that are no floating numbers are left out."""
        self._momentum = momentum
        self._weights = [w for w in weights if keras.backend.is_float_dtype(w.dtype)]
        self.variables = [
            keras.Variable(w.numpy(), dtype=w.dtype, trainable=False, name="average")
            for w in self._weights
        ]

    def update(self, steps: Any) -> None:
        """Take the weights after a step; part of the graph of a training step.

        Args:
            steps: done before this one.
        """
        few = 9.0 / (10.0 + tf.cast(steps, tf.float32))
        share = tf.maximum(1.0 - self._momentum, few)
        for weight, average in zip(self._weights, self.variables, strict=True):
            now = tf.convert_to_tensor(average)
            average.assign(now + share * (tf.convert_to_tensor(weight) - now))

    def in_place_of(self, weights: Sequence[keras.Variable]) -> list[keras.Variable]:
        """Return `weights` with their averages in place of those that have one."""
        known = {id(w): a for w, a in zip(self._weights, self.variables, strict=True)}
        return [known.get(id(weight), weight) for weight in weights]


class TrainStepModel(keras.Model):
    """A network whose steps keep a pace and average the weights."""

    pace: LearningRate | None = None
    averages: Averages | None = None

    def train_step(self, data: Any) -> Any:
        """Train on a batch."""
        if self.pace is not None:
            self.pace.advance(tf.shape(tf.nest.flatten(data)[0])[0])
        logs = super().train_step(data)
        if self.averages is not None:
            self.averages.update(self.optimizer.iterations - 1)
        return logs
