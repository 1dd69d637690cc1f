"""The exponential moving average of a network's weights, kept inside the training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class Averages:
    """Averages of weights over the steps of a training.

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
