from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tauopt.models.batch_normalization import Normalize


def with_gradients(layer, x, real=None):
    """Return the output, and the gradients of a loss in the real rows by rows, gamma and beta."""
    x = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = layer(x, training=True) if real is None else layer(x, real, training=True)
        kept = y if real is None else tf.boolean_mask(y, real)
        slope = tf.reshape(tf.range(tf.size(kept), dtype=tf.float32), kept.shape)
        loss = tf.reduce_sum(tf.sin(kept) * slope)
    gradients = tape.gradient(loss, [x, *layer.trainable_weights])
    return [y.numpy(), *(gradient.numpy() for gradient in gradients)]


def test_without_padding_values_and_gradients_are_those_of_keras():
    x = np.random.default_rng(0).normal(3, 2, (12, 4)).astype(np.float32)
    ours = with_gradients(Normalize(), x)
    for a, b in zip(ours, with_gradients(keras.layers.BatchNormalization(), x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_with_padding_values_and_gradients_are_those_of_the_real_rows_alone():
    x = np.random.default_rng(0).normal(3, 2, (12, 4)).astype(np.float32)
    real = np.arange(12) % 3 != 1
    x[~real] = 1e3
    y, dx, *dw = with_gradients(Normalize(), x, real)
    expected = with_gradients(keras.layers.BatchNormalization(), x[real])
    for a, b in zip([y[real], dx[real], *dw], expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert not dx[~real].any()


def with_random_weights(layer, *, moving=((0.0,), (1.0,))):
    """Return the layer with random gamma and beta, and with these moving statistics."""
    layer.build((None, 4))
    rng = np.random.default_rng(1)
    layer.gamma.assign(rng.uniform(-2, 2, 4))
    layer.beta.assign(rng.normal(size=4))
    if isinstance(layer, Normalize):
        layer.moving.assign(np.broadcast_to(moving, (2, 4)))
    else:
        layer.moving_mean.assign(np.broadcast_to(moving[0], 4))
        layer.moving_variance.assign(np.broadcast_to(moving[1], 4))
    return layer


def test_a_scaled_and_shifted_unit_has_the_gradients_of_keras():
    """A gradient without gamma would pass the test for a new layer, whose gamma is one."""
    x = np.random.default_rng(0).normal(3, 2, (12, 4)).astype(np.float32)
    real = np.arange(12) % 3 != 1
    for mask in (None, real):
        y, dx, *dw = with_gradients(with_random_weights(Normalize()), x, mask)
        kept = slice(None) if mask is None else mask
        theirs = with_random_weights(keras.layers.BatchNormalization())
        expected = with_gradients(theirs, x[kept])
        for a, b in zip([y[kept], dx[kept], *dw], expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


def test_in_evaluation_values_and_gradients_are_those_of_keras_with_the_same_moments():
    moving = [(1.0, -2.0, 0.5, 3.0), (0.2, 4.0, 1e-3, 9.0)]
    x = tf.Variable(np.random.default_rng(0).normal(3, 2, (12, 4)).astype(np.float32))
    results = []
    for kind in (Normalize, keras.layers.BatchNormalization):
        layer = with_random_weights(kind(), moving=moving)
        with tf.GradientTape() as tape:
            y = layer(x, training=False)
            loss = tf.reduce_sum(tf.sin(y))
        results.append([y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


def test_after_many_batches_the_moving_statistics_are_updated_as_those_of_keras():
    rng = np.random.default_rng(0)
    start = [(0.0,), (1.0,)]
    ours, theirs = (
        with_random_weights(kind(), moving=start)
        for kind in (Normalize, keras.layers.BatchNormalization)
    )
    ours.batches.assign(1000.0)
    for x in rng.normal(3, 2, (20, 30, 4)).astype(np.float32):
        ours(x, training=True)
        theirs(x, training=True)
    expected = [theirs.moving_mean.numpy(), theirs.moving_variance.numpy()]
    np.testing.assert_allclose(ours.moving.numpy(), expected, rtol=1e-4)


def test_moving_statistics_are_plain_means_at_first():
    rng = np.random.default_rng(0)
    batches = rng.normal(3, 2, (5, 50, 1)).astype(np.float32)
    layer = Normalize()
    for x in batches:
        layer(x, training=True)
    mean, variance = layer.moving.numpy()
    np.testing.assert_allclose(mean, batches.mean(), rtol=1e-5)
    np.testing.assert_allclose(variance, batches.var(axis=1).mean(), rtol=1e-5)


def test_a_batch_without_real_rows_changes_nothing():
    layer = Normalize()
    layer(np.ones((3, 2), np.float32) * [[1], [2], [3]], training=True)
    before = layer.get_weights()
    y, dx, *_ = with_gradients(layer, np.full((3, 2), 7, np.float32), np.zeros(3, bool))
    assert np.isfinite(y).all()
    assert not dx.any()
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_never_moves_the_statistics():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3)).astype(np.float32)
    padded = np.concatenate([x, np.full((4, 3), 99, np.float32)])
    layers = Normalize(), Normalize()
    layers[0](x, training=True)
    layers[1](padded, np.arange(10) < 6, training=True)
    for a, b in zip(layers[0].get_weights(), layers[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
