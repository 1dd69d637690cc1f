from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tauopt.models.build_model import build_model
from tauopt.models.object_layers import (
    FirstObject,
    FlatObjects,
    KeepFeatures,
    LastObject,
    Objects,
    ReverseObjects,
    Rows,
    SumObjects,
)
from tests.models.specs import SMALL, batch, spec_for
from tests.models.test_neighbour_layers import slow_neighbours

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
REAL = np.array([[True, True, False], [False, False, False]])


def test_rows_come_back_as_objects():
    np.testing.assert_array_equal(Rows()(X), X.reshape(6, 4))
    np.testing.assert_array_equal(Objects(3)(Rows()(X)), X)
    np.testing.assert_array_equal(FirstObject(3)(Rows()(X)), X[:, 0])


def test_kept_features_are_those_named():
    np.testing.assert_array_equal(KeepFeatures([0, 3])(X[0]), X[0][:, [0, 3]])


def test_flattened_objects_end_with_their_mask():
    flat = np.asarray(FlatObjects()(X, REAL))
    np.testing.assert_array_equal(flat[:, :12], X.reshape(2, 12))
    np.testing.assert_array_equal(flat[:, 12:], REAL)


def jagged(rng, count=20, length=5, units=3):
    """Return candidates with random numbers of objects, and noise in the padding."""
    real = np.arange(length) < rng.integers(0, length + 1, count)[:, None]
    return rng.normal(size=(count, length, units)).astype(np.float32), real


def test_sum_last_and_reversal_pass_gradients_to_the_right_objects():
    """Each layer is linear; the expected gradient is computed by loops."""
    rng = np.random.default_rng(0)
    x, real = jagged(rng)
    slopes = rng.normal(size=x.shape).astype(np.float32)
    expected = {kind: np.zeros_like(x) for kind in (SumObjects, LastObject, ReverseObjects)}
    for n, objects in enumerate(real.sum(axis=1)):
        for i in range(len(real[n])):
            mirrored = objects - 1 - i if i < objects else i
            expected[ReverseObjects][n, i] = slopes[n, mirrored]
            if i < objects:
                expected[SumObjects][n, i] = slopes[n, 0]
            if i == objects - 1:
                expected[LastObject][n, i] = slopes[n, 0]
    for kind, gradient in expected.items():
        tensor = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            y = kind()(tensor, real)
            loss = tf.reduce_sum(y * (slopes if kind is ReverseObjects else slopes[:, 0]))
        np.testing.assert_allclose(tape.gradient(loss, tensor), gradient, rtol=1e-6)


def test_sums_are_those_of_the_ragged_objects():
    x, real = jagged(np.random.default_rng(1))
    expected = tf.reduce_sum(tf.RaggedTensor.from_tensor(x, real.sum(axis=1)), axis=1)
    np.testing.assert_allclose(SumObjects()(x, real), expected, rtol=1e-5, atol=1e-6)


def relu(x):
    return np.maximum(x, 0)


def test_an_edge_convolution_agrees_with_a_slow_reference():
    """As published: a dense layer on (x_i, x_j - x_i), mean over neighbours, plus a shortcut."""
    network = SMALL["particlenet_plain"]
    spec = spec_for(network)
    model = build_model(spec, network, seed=1)
    outputs = ("angles", "objects", "objects_mean")
    inputs = batch(spec)
    angles, objects, got = (
        np.asarray(part)
        for part in keras.Model(
            model.inputs,
            [model.get_layer(f"tracks_{n}" if n != "objects_mean" else n).output for n in outputs],
        )(inputs)
    )
    weights = {name: model.get_layer(f"block_1_{name}").get_weights() for name in
               ("centre", "neighbour", "shortcut")}  # fmt: skip
    (w_centre, bias), (w_neighbour,), (w_shortcut, bias_shortcut) = weights.values()
    kernel = np.concatenate([w_centre + w_neighbour, w_neighbour])
    for n, real in enumerate(inputs["tracks_mask"]):
        convolved = []
        for i, near in enumerate(slow_neighbours(angles[n], real, 2)):
            edges = [
                relu(np.concatenate([objects[n, i], objects[n, j] - objects[n, i]]) @ kernel + bias)
                for j in near
            ] or [np.zeros(8)]
            shortcut = objects[n, i] @ w_shortcut + bias_shortcut
            if real[i]:
                convolved.append(relu(np.mean(edges, axis=0) + shortcut))
        expected = np.mean(convolved, axis=0) if convolved else np.zeros(8)
        np.testing.assert_allclose(got[n], expected, rtol=1e-3, atol=1e-4)
