"""Compare our recurrent layers with Keras's own: states and all gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.models.recurrent import Gru, Lstm

UNITS = 6


def pair(ours: type, theirs: type, features: int) -> tuple[keras.Layer, keras.Layer]:
    """Return our layer and Keras's, with the same random weights."""
    layers = ours(UNITS), theirs(UNITS, return_sequences=True)
    rng = np.random.default_rng(2)
    for layer in layers:
        layer.build((None, 4, features))
    weights = [rng.normal(0, 0.7, w.shape).astype(np.float32) for w in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def with_gradients(layer: keras.Layer, x: np.ndarray) -> list[np.ndarray]:
    """Return the states, and the gradients of a loss of all states by inputs and weights."""
    x = tf.Variable(x)
    with tf.GradientTape() as tape:
        states = layer(x)
        slopes = tf.cos(tf.reshape(tf.range(tf.size(states), dtype=tf.float32), tf.shape(states)))
        loss = tf.reduce_sum(states * slopes)
    return [states.numpy(), *(g.numpy() for g in tape.gradient(loss, [x, *layer.weights]))]


@pytest.mark.parametrize(("ours", "theirs"), [(Lstm, keras.layers.LSTM), (Gru, keras.layers.GRU)])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_states_and_gradients_are_those_of_keras(ours, theirs, steps):
    x = np.random.default_rng(steps).normal(0, 2, (32, steps, 5)).astype(np.float32)
    results, expected = (with_gradients(layer, x) for layer in pair(ours, theirs, 5))
    for name, a, b in zip(
        ("states", "inputs", "kernel", "recurrent kernel", "bias"), results, expected, strict=True
    ):
        assert np.abs(a - b).max() < 2e-6 * max(1.0, np.abs(b).max()), name


def test_a_saturated_or_forgetful_cell_has_the_gradient_of_keras():
    """Cell states reach tens, which reveals a kernel that clips them or adds a forget bias."""
    layers = pair(Lstm, keras.layers.LSTM, 3)
    for layer in layers:
        kernel, recurrent, bias = layer.get_weights()
        bias[UNITS : 2 * UNITS] = [9, 9, 9, -9, 0, 1]
        layer.set_weights([kernel * 4, recurrent, bias])
    x = np.random.default_rng(0).normal(1, 2, (16, 40, 3)).astype(np.float32)
    results, expected = (with_gradients(layer, x) for layer in layers)
    for a, b in zip(results, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(b).max()))


def test_the_kernel_is_not_used_for_arguments_that_it_does_not_support():
    """With a mask, an initial state or another precision, Keras's own steps are used."""
    ours, theirs = pair(Lstm, keras.layers.LSTM, 3)
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    mask = np.arange(5) < np.array([[0], [1], [3], [5]])
    first = [np.full((4, UNITS), value, np.float32) for value in (0.3, -0.2)]
    for given in ({"mask": mask}, {"initial_state": first}):
        np.testing.assert_allclose(ours(x, **given), theirs(x, **given), rtol=1e-6, atol=1e-6)
    for dtype in ("float64", "mixed_float16"):
        half, expected = (
            kind(UNITS, dtype=dtype, return_sequences=True) for kind in (Lstm, keras.layers.LSTM)
        )
        for layer in (half, expected):
            layer.build(x.shape)
            layer.set_weights(ours.get_weights())
        np.testing.assert_array_equal(half(x), expected(x))
