"""Plain Keras training, one eager step at a time: the reference for tauopt's training.

Nothing here is tauopt's training code. The batches are those of the stream before weights of
classes come on top; layers with kernels or gradients of tauopt's own are Keras's instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tauopt.models.batch_normalization import Normalize
from tauopt.models.recurrent import Lstm
from tauopt.stream.batches import batches


class PlainBatch(NamedTuple):
    """A copy of some candidates: inputs by name, one-hot labels, physics weights."""

    inputs: dict[str, np.ndarray]
    one_hot: np.ndarray
    weights: np.ndarray


class Step(NamedTuple):
    """Result of a step: all weights by name, and the norm of the gradient."""

    weights: dict[str, np.ndarray]
    gradient_norm: float


def plain_batches(data: Any, segments: Iterable[Any]) -> list[PlainBatch]:
    """Return copies of the batches that a trainer trains on in these segments."""
    every = (
        batch
        for segment in segments
        for batch in batches(
            data.dataset.train,
            spec=data.spec,
            label_map=data.label_map,
            batch_size=segment.batch_size,
            next_size=segment.next_size,
            seed=data.seed,
            start=segment.start,
            stop=segment.stop,
        )
    )
    one_hot = np.eye(len(data.spec.classes), dtype=np.float32)
    return [
        PlainBatch(
            {name: np.array(x) for name, x in batch.inputs.items()},
            one_hot[batch.labels],
            np.array(batch.weights),
        )
        for batch in every
    ]


class PlainNormalization(keras.layers.BatchNormalization):
    """Keras's layer with its mask for real rows; moving statistics are means over the batches."""

    seen = 0

    def build(self, x_shape, real_shape=None):
        super().build(x_shape)

    def call(self, x, real=None, training=False):
        if training:
            self.seen += 1
            self.momentum = 1 - 1 / self.seen
        return super().call(x, training=training, mask=real)

    def compute_output_shape(self, x_shape, real_shape=None):
        return x_shape


def plain_network(network: keras.Model) -> keras.Model:
    """Return a network of Keras's own layers with the weights of `network`."""

    def plain(layer):
        if isinstance(layer, Lstm):
            return keras.layers.LSTM(layer.units, return_sequences=True, name=layer.name)
        if isinstance(layer, Normalize):
            return PlainNormalization(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=plain)
    start = named(network, [v.numpy() for v in network.variables])
    for variable, name in zip(copy.variables, _names(copy), strict=True):
        if name in start:
            variable.assign(start[name])
    return copy


def named(network: keras.Model, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays, in the order of a network's variables, by Keras's name for each."""
    weights = {}
    for name, array in zip(_names(network), arrays, strict=True):
        if name.endswith("/moving"):
            weights[f"{name}_mean"], weights[f"{name}_variance"] = array
        elif array.dtype == np.float32 and not name.endswith("/batches"):  # no seeds nor counters
            weights[name] = np.array(array)
    return weights


def _names(network: keras.Model) -> list[str]:
    known = {id(v): f"{layer.name}/{v.name}" for layer in network.layers for v in layer.variables}
    return [known[id(variable)] for variable in network.variables]


def plain_training(
    network: keras.Model,
    batches: list[PlainBatch],
    *,
    optimizer: keras.optimizers.Optimizer,
    loss: Callable[[Any, Any, Any], Any],
    schedule: Callable[[Any, float], None] | None = None,
) -> list[Step]:
    """Train a network in place and return each step.

    Args:
        batches: with the weights that candidates have in the loss.
        loss: of one-hot labels, probabilities, weights.
        schedule: sets an optimizer's learning rate and momentum, given how much of the training is
            over in the middle of the batch, 0 to 1.
    """
    weights, steps = network.trainable_variables, []
    total, seen = sum(len(batch.weights) for batch in batches), 0
    for batch in batches:
        if schedule is not None:
            schedule(optimizer, (seen + len(batch.weights) / 2) / total)
        seen += len(batch.weights)
        with tf.GradientTape() as tape:
            value = loss(batch.one_hot, network(batch.inputs, training=True), batch.weights)
        gradients = tape.gradient(value, weights)
        optimizer.apply(gradients, weights)
        norm = np.sqrt(sum(float(tf.reduce_sum(g**2)) for g in gradients))
        steps.append(Step(named(network, [v.numpy() for v in network.variables]), norm))
    return steps


class AdamW(keras.optimizers.Adam):
    """Adam, and a decay of kernels that its moments do not see (arXiv:1711.05101)."""

    def __init__(self, rate, *, decay):
        super().__init__(rate)
        self.decay = rate * decay

    def apply(self, gradients, weights):
        decays = [self.decay * w.numpy() if w.name == "kernel" else None for w in weights]
        super().apply(gradients, weights)
        for weight, decay in zip(weights, decays, strict=True):
            if decay is not None:
                weight.assign_sub(decay)


def crossentropy(true, p, weights):
    """Return Keras's own loss."""
    return keras.losses.CategoricalCrossentropy()(true, p, sample_weight=weights)


def _part(true, p, *, gamma, smoothing):
    """Return cross-entropy, times (1 - p)^gamma for each class, of labels spread by smoothing."""
    true = (1 - smoothing) * true + smoothing / true.shape[-1]
    return -tf.reduce_sum(true * (1 - p) ** gamma * tf.math.log(p), axis=-1)


def whole(true, p, weights, *, gamma=0.0, smoothing=0.0):
    """Return the loss in one part, over all classes, focal and smoothed."""
    return tf.reduce_mean(weights * _part(true, p, gamma=gamma, smoothing=smoothing))


def in_parts(true, p, weights, *, mode_weight, **shape):
    """Return the loss in two parts: jet (the first class) or tau, and the mode of true taus."""
    shape = {"gamma": 0.0, "smoothing": 0.0, **shape}
    tau, p_tau = (tf.reduce_sum(y[:, 1:], axis=1, keepdims=True) for y in (true, p))
    identification = _part(
        tf.concat([true[:, :1], tau], 1), tf.concat([p[:, :1], p_tau], 1), **shape
    )
    mode = tau[:, 0] * _part(true[:, 1:], p[:, 1:] / p_tau, **shape)
    return tf.reduce_mean(weights * (identification + mode_weight * mode))
