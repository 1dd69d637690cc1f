"""Batch normalisation over real objects only."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tauopt.models.preprocessing import PACKAGE, full_precision

EPSILON = 1e-3
"""Added to the variance; as in Keras."""
MOMENTUM = 0.99
"""Momentum of the moving statistics; as in Keras."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Normalize(keras.layers.Layer):
    """Normalise each unit by its mean and variance over the real rows of a batch.

    Padding changes neither the statistics nor any gradient, and a batch without real rows changes
    nothing. The moving statistics are plain means over the first 1 / (1 - momentum) = 100 batches,
    so that a network can be evaluated after few batches, and exponential means after that.

    Call with x (row, unit) and, where some rows are padding, the mask (row,) bool, True = real.

    Source: Ioffe and Szegedy, arXiv:1502.03167.
    """

    def __init__(self, **kwargs: Any) -> None:
        # float32 also in a network of half precision: sums over a batch need the digits.
        super().__init__(**{**kwargs, "dtype": full_precision()})

    def build(self, x_shape: Any, real_shape: Any = None) -> None:
        """Create scale, offset, and moving mean and variance of each unit."""
        shape = (x_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.moving = self.add_weight(
            shape=(2, *shape), initializer=_mean_0_variance_1, name="moving", trainable=False
        )
        self.batches = self.add_weight(
            shape=(), initializer="zeros", name="batches", trainable=False
        )

    def call(self, x: Any, real: Any = None, training: bool = False) -> Any:
        """Return the normalised rows; rows of padding are finite but meaningless."""
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if not training:
            mean, variance = tf.unstack(tf.convert_to_tensor(self.moving))
            scale = gamma * tf.math.rsqrt(variance + EPSILON)
            return x * scale + (beta - mean * scale)
        if real is None:
            count = tf.cast(tf.shape(x)[0], x.dtype)
            weights = tf.ones_like(x[:, :1]) / tf.maximum(count, 1.0)
        else:
            count = tf.math.count_nonzero(real, dtype=x.dtype)
            weights = tf.cast(real[:, None], x.dtype) / tf.maximum(count, 1.0)
        y, statistics = _normalize(x, gamma, beta, weights)
        self._update_moving(statistics, any_real=tf.minimum(count, 1.0))
        return y

    def _update_moving(self, statistics: Any, *, any_real: Any) -> None:
        """Update the moving statistics; `any_real` is 0 for a batch without real rows, else 1."""
        batches = tf.convert_to_tensor(self.batches) + any_real
        rate = any_real * tf.maximum(1.0 / tf.maximum(batches, 1.0), 1.0 - MOMENTUM)
        self.batches.assign(batches)
        self.moving.assign_add(rate * (statistics - tf.convert_to_tensor(self.moving)))

    def compute_output_shape(self, x_shape: Any, real_shape: Any = None) -> Any:
        """Return the unchanged shape of the rows."""
        return x_shape


@tf.custom_gradient
def _normalize(x: Any, gamma: Any, beta: Any, weights: Any) -> Any:
    """Return the normalised rows (row, unit), and the mean and variance (2, unit).

    The gradient in closed form makes the graph of a training step a third as large as that of
    `keras.layers.BatchNormalization`.

    Args:
        x: rows (row, unit).
        gamma: scale (unit,).
        beta: offset (unit,).
        weights: (row, 1), 1/n for each of the n real rows, 0 for padding.
    """
    mean = tf.matmul(weights, x, transpose_a=True)
    centred = x - mean
    variance = tf.matmul(weights, centred * centred, transpose_a=True)
    inverse_std = tf.math.rsqrt(variance + EPSILON)
    normalized = centred * inverse_std

    def gradient(dy: Any, *_: Any) -> Any:
        dy = tf.where(weights > 0, dy, 0.0)
        dgamma = tf.reduce_sum(dy * normalized, axis=0)
        dbeta = tf.reduce_sum(dy, axis=0)
        dx = gamma * inverse_std * (dy - weights * (dbeta + normalized * dgamma))
        return dx, dgamma, dbeta, None

    return (normalized * gamma + beta, tf.concat([mean, variance], axis=0)), gradient


def _mean_0_variance_1(shape: Any, dtype: Any) -> Any:
    """Return the moving statistics before the first batch, (2, unit)."""
    return tf.constant([[0.0], [1.0]], dtype) * tf.ones(shape, dtype)
