"""Training step: Keras's, with learning-rate schedule and weight averages as part of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tauopt.training.learning_rate import LearningRate


class Averages:
    """Exponential moving averages of weights over the steps of a training.

    At each step an average takes a share of 1 - `momentum` from the weight. In the first steps the
    share is larger, 9 / (10 + steps), so that the initial weights are soon forgotten (as in
    TensorFlow's ExponentialMovingAverage with `num_updates`). Moving statistics of batch
    normalisation are averaged like weights, since they must fit to the averaged weights.

    Attributes:
        variables: the averages, which a checkpoint keeps.
    """

    def __init__(self, weights: Sequence[keras.Variable], *, momentum: float) -> None:
        """Begin with the present weights; weights that are not floating-point are left out."""
        self._momentum = momentum
        self._weights = [w for w in weights if keras.backend.is_float_dtype(w.dtype)]
        self.variables = [
            keras.Variable(w.numpy(), dtype=w.dtype, trainable=False, name="average")
            for w in self._weights
        ]

    def update(self, steps: Any) -> None:
        """Update the averages after a step; part of the graph of a training step.

        Args:
            steps: number of steps before this one.
        """
        early_share = 9.0 / (10.0 + tf.cast(steps, tf.float32))
        share = tf.maximum(1.0 - self._momentum, early_share)
        for weight, average in zip(self._weights, self.variables, strict=True):
            before = tf.convert_to_tensor(average)
            average.assign(before + share * (tf.convert_to_tensor(weight) - before))

    def in_place_of(self, weights: Sequence[keras.Variable]) -> list[keras.Variable]:
        """Return `weights` with their averages in place of those that have one."""
        averages = {id(w): a for w, a in zip(self._weights, self.variables, strict=True)}
        return [averages.get(id(weight), weight) for weight in weights]


class TrainStepModel(keras.Model):
    """A Keras model whose training steps set the learning rate and average the weights."""

    schedule: LearningRate | None = None
    averages: Averages | None = None

    def train_step(self, data: Any) -> Any:
        """Train on a batch."""
        if self.schedule is not None:
            self.schedule.advance(tf.shape(tf.nest.flatten(data)[0])[0])
        logs = super().train_step(data)
        if self.averages is not None:
            self.averages.update(self.optimizer.iterations - 1)
        return logs
