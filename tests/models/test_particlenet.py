"""Compare ParticleNet's edge convolution with the published one, computed edge by edge."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.config.settings.networks import ParticleNet, Tower
from tauopt.models.build_model import build_model
from tests.models.specs import EIGHT, OBJECTS, batch, spec_for
from tests.models.test_neighbour_layers import slow_neighbours


def built(**settings):
    """Return a network of one block with random weights, none of them 0 or 1, and its inputs."""
    network = ParticleNet(
        type="particlenet", neighbours=2, embedding=8, edge_layers=2, inputs="tracks",
        channels=EIGHT, coordinates={"eta": "f2", "phi": "f3"}, groups=OBJECTS,
        merge=Tower(layers=0), **settings,
    )  # fmt: skip
    spec = spec_for(network)
    model = build_model(spec, network, seed=1)
    rng = np.random.default_rng(4)
    for layer in model.layers:
        for weight in layer.trainable_weights:
            weight.assign(rng.normal(0.3, 0.6, weight.shape))
    return model, batch(spec)


def slow_block(model, objects, angles, real):
    """Compute the published block and the mean over objects, with TensorFlow's own gradient.

    An edge is two dense layers on (x_i, x_j - x_i), each normalised over the edges
    of real objects. An object becomes the mean over its edges plus a shortcut, which is normalised
    over the real objects.
    """

    def layer(name):
        return model.get_layer(f"block_1_{name}")

    def dense(x, name):
        y = x @ layer(name).kernel.value
        return y if layer(name).bias is None else y + layer(name).bias.value

    def normalized(x, name):
        if f"block_1_{name}_normalize" not in {layer.name for layer in model.layers}:
            return x
        mean, variance = tf.nn.moments(x, axes=[0])
        beta, gamma = (getattr(layer(f"{name}_normalize"), key).value for key in ("beta", "gamma"))
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)

    edges, edge_objects, real_objects = [], [], []
    for n in range(len(objects)):
        for i, near in enumerate(slow_neighbours(angles[n], real[n], 2)):
            real_objects += [(n, i)] * bool(real[n, i])
            for j in near:
                edges.append(tf.concat([objects[n, i], objects[n, j] - objects[n, i]], axis=0))
                edge_objects.append((n, i))
    centre, neighbour = (layer(name).kernel.value for name in ("centre", "neighbour"))
    x = tf.stack(edges) @ tf.concat([centre + neighbour, neighbour], axis=0)
    if layer("centre").bias is not None:
        x += layer("centre").bias.value
    x = tf.nn.relu(normalized(x, "edge_1"))
    x = tf.nn.relu(normalized(dense(x, "edge_2"), "edge_2"))
    x_real = tf.stack([objects[place] for place in real_objects])
    shortcuts = normalized(dense(x_real, "shortcut"), "shortcut")
    outputs = {n: [] for n in range(len(objects))}
    for place, shortcut in zip(real_objects, tf.unstack(shortcuts), strict=True):
        own_edges = [x[e] for e, edge_object in enumerate(edge_objects) if edge_object == place]
        mean = tf.zeros_like(shortcut)
        if own_edges:
            mean = tf.reduce_mean(tf.stack(own_edges), axis=0)
        outputs[place[0]].append(tf.nn.relu(mean + shortcut))
    return tf.stack(
        [tf.reduce_mean(tf.stack(y), axis=0) if y else tf.zeros(8) for y in outputs.values()]
    )


@pytest.mark.parametrize("normalization", [False, True])
def test_edge_convolutions_have_the_values_and_gradients_of_the_published_ones(normalization):
    model, inputs = built(batch_normalization=normalization)
    inputs = {name: x[:12] for name, x in inputs.items()}
    real = inputs["tracks_mask"]
    outputs = [model.get_layer(f"tracks_{name}").output for name in ("objects", "angles")]
    objects, angles = keras.Model(model.inputs, outputs)(inputs, training=True)
    block = keras.Model(
        [*outputs, model.input["tracks_mask"]], model.get_layer("objects_mean").output
    )
    weights = [w.value for layer in block.layers for w in layer.trainable_weights]
    slopes = np.random.default_rng(5).normal(size=(12, 8)).astype(np.float32)
    results = []
    for way in (
        lambda: block([objects, angles, tf.constant(real)], training=True),
        lambda: slow_block(model, objects, np.asarray(angles), real),
    ):
        with tf.GradientTape() as tape:
            tape.watch(objects)
            y = way()
            loss = tf.reduce_sum(y * slopes)
        results.append([y, *map(tf.convert_to_tensor, tape.gradient(loss, [objects, *weights]))])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())
