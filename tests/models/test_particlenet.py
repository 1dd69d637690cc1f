"""ParticleNet's edge convolution against the published one, computed edge by edge."""

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
    """Return a network of one block, its weights by layer none of them special, and inputs."""
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
    """Return the mean over objects of the published block, with TensorFlow's own gradient.

    An edge is a dense layer on (x_i, x_j - x_i) and another one, each normalised over the edges
    that are there; an object is the mean over its edges beside a shortcut, normalised over objects.
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
        of = layer(f"{name}_normalize")
        return tf.nn.batch_normalization(x, mean, variance, of.beta.value, of.gamma.value, 1e-3)

    edges, owners, there = [], [], []
    for n in range(len(objects)):
        for i, near in enumerate(slow_neighbours(angles[n], real[n], 2)):
            there += [(n, i)] * bool(real[n, i])
            for j in near:
                edges.append(tf.concat([objects[n, i], objects[n, j] - objects[n, i]], axis=0))
                owners.append((n, i))
    centre, neighbour = (layer(name).kernel.value for name in ("centre", "neighbour"))
    x = tf.stack(edges) @ tf.concat([centre + neighbour, neighbour], axis=0)
    if layer("centre").bias is not None:
        x += layer("centre").bias.value
    x = tf.nn.relu(normalized(x, "edge_1"))
    x = tf.nn.relu(normalized(dense(x, "edge_2"), "edge_2"))
    own = tf.stack([objects[place] for place in there])
    shortcuts = normalized(dense(own, "shortcut"), "shortcut")
    made = {n: [] for n in range(len(objects))}
    for place, shortcut in zip(there, tf.unstack(shortcuts), strict=True):
        mine = [x[e] for e, owner in enumerate(owners) if owner == place]
        mean = tf.reduce_mean(tf.stack(mine), axis=0) if mine else tf.zeros_like(shortcut)
        made[place[0]].append(tf.nn.relu(mean + shortcut))
    return tf.stack(
        [tf.reduce_mean(tf.stack(m), axis=0) if m else tf.zeros(8) for m in made.values()]
    )


@pytest.mark.parametrize("normalization", [False, True])
def test_an_edge_computed_once_an_object_has_values_and_gradients_of_the_published_one(
    normalization,
):
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
