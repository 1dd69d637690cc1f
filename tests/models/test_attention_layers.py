from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.config.settings.networks import Transformer
from tauopt.models.attention_layers import Attend, AttentionBias, ClassToken, PairFeatures
from tauopt.models.build_model import build_model, describe
from tests.models.specs import OBJECTS, batch, spec_for, spec_of

RNG = np.random.default_rng(0)


def slow_attention(x, real, heads):
    """Compute the attention of one candidate, token by token and head by head."""
    units = x.shape[1] // 3
    size = units // heads
    query, key, value = x[:, :units], x[:, units : 2 * units], x[:, 2 * units :]
    result = np.zeros((len(x), units))
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for token in range(len(x)):
            weights = [
                np.exp(query[token, part] @ key[other, part] / np.sqrt(size)) if real[other] else 0
                for other in range(len(x))
            ]
            result[token, part] = np.average(value[:, part], axis=0, weights=weights)
    return result


@pytest.mark.parametrize("first_only", [False, True])
def test_attention_agrees_with_a_slow_reference(first_only):
    tokens, heads, units = 5, 3, 6
    x = RNG.normal(size=(4 * tokens, 3 * units)).astype(np.float32)
    real = np.array(
        [[True] * 4, [True, True, False, False], [False] * 4, [True, False, True, True]]
    )
    bias = AttentionBias()(real)
    got = np.asarray(Attend(heads, tokens, first_only)(x, bias)).reshape(4, -1, units)
    for number in range(4):
        seen = [True, *real[number]]
        expected = slow_attention(x[number * tokens :][:tokens], seen, heads)
        np.testing.assert_allclose(got[number], expected[: len(got[number])], rtol=1e-4, atol=1e-5)


def gradients(network, x, weights):
    """Return the output of a network, and the gradients of a loss of it by inputs and weights."""
    x = tf.Variable(x)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        y = network(x)
        slopes = tf.cos(tf.reshape(tf.range(tf.size(y), dtype=tf.float32), tf.shape(y)))
        loss = tf.reduce_sum(y * slopes)
    return [np.asarray(y), *map(np.asarray, tape.gradient(loss, [x, *weights]))]


def keras_attention(kernel, bias, mixing, *, heads):
    """Return a `MultiHeadAttention` whose queries, keys and values are thirds of one kernel."""
    dim, units = kernel.shape[0], kernel.shape[1] // 3
    layer = keras.layers.MultiHeadAttention(heads, units // heads)
    layer.build((None, None, dim), (None, None, dim))
    parts = []
    for third, offset in zip(np.split(kernel, 3, axis=1), np.split(bias, 3), strict=True):
        parts += [third.reshape(dim, heads, -1), offset.reshape(heads, -1)]
    layer.set_weights([*parts, mixing[0].reshape(heads, -1, dim), mixing[1]])
    return layer


def thirds_joined(keras_gradients):
    """Convert gradients by the weights of `keras_attention` to those by kernel, bias and mixing."""
    *parts, mixing, offset = keras_gradients
    kernel = np.concatenate([part.reshape(len(part), -1) for part in parts[::2]], axis=1)
    bias = np.concatenate([part.reshape(-1) for part in parts[1::2]])
    return [kernel, bias, mixing.reshape(-1, mixing.shape[-1]), offset]


@pytest.mark.parametrize("first_only", [False, True])
def test_attention_has_the_values_and_gradients_of_kerass_layer(first_only):
    count, tokens, heads, dim, units = 6, 5, 3, 4, 6
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, tokens, dim)).astype(np.float32)
    real = np.arange(tokens - 1) < rng.integers(0, tokens, count)[:, None]
    seen = np.concatenate([np.ones((count, 1), bool), real], axis=1)
    shapes = (dim, 3 * units), (3 * units,), (units, dim), (dim,)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    kernel, bias, *mixing = map(tf.constant, weights)
    theirs = keras_attention(*weights[:2], weights[2:], heads=heads)

    def by_rows(x):
        rows = tf.reshape(x, (-1, dim)) @ kernel + bias
        y = Attend(heads, tokens, first_only)(rows, AttentionBias()(real))
        return tf.reshape(y @ mixing[0] + mixing[1], (count, -1, dim))

    def by_keras(x):
        return theirs(x[:, :1] if first_only else x, x, attention_mask=seen[:, None, :])

    ours = gradients(by_rows, x, [kernel, bias, *mixing])
    y, dx, *dw = gradients(by_keras, x, [weight.value for weight in theirs.weights])
    for a, b in zip(ours, [y, dx, *thirds_joined(dw)], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_pairs_are_added_between_objects_and_not_to_the_class_token():
    real = np.array([[True, True, False]])
    pairs = np.arange(18, dtype=np.float32).reshape(9, 2)
    bias = np.asarray(AttentionBias()(real, pairs))
    assert bias.shape == (1, 2, 4, 4)
    np.testing.assert_array_equal(bias[0, :, 0, :3], 0)
    np.testing.assert_array_equal(bias[0, :, :3, 0], 0)
    np.testing.assert_array_equal(bias[0, 1, 1:, 1:3], pairs[:, 1].reshape(3, 3)[:, :2])
    assert (bias[..., 3] < -2e4).all()


def test_the_class_token_stands_first_and_the_candidate_is_added_to_it():
    x, candidate = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 4))
    layer = ClassToken(seed=1)
    tokens = np.asarray(layer(x.astype(np.float32), candidate.astype(np.float32)))
    layer.token.assign(np.full((1, 4), 2.0))
    np.testing.assert_allclose(tokens[:, 1:], x, rtol=1e-6)
    got = np.asarray(layer(x.astype(np.float32), candidate.astype(np.float32)))[:, 0]
    np.testing.assert_allclose(got, candidate + 2, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(layer(x.astype(np.float32)))[:, 0], 2)


def test_pair_features_agree_with_a_slow_reference():
    angles = RNG.normal(0, 0.2, (6, 4, 2)).astype(np.float32)
    pt = RNG.lognormal(8, 1, (6, 4, 1)).astype(np.float32)
    real = RNG.random((6, 4)) < 0.7
    features, both = PairFeatures()(angles, pt, real)
    features = np.asarray(features).reshape(6, 4, 4, 3)
    both = np.asarray(both).reshape(6, 4, 4)
    for n, i, j in np.ndindex(6, 4, 4):
        assert both[n, i, j] == (real[n, i] and real[n, j])
        if not both[n, i, j]:
            assert not features[n, i, j].any()
            continue
        dr = max(np.hypot(*(angles[n, i] - angles[n, j])), 1e-4)
        low = min(pt[n, i, 0], pt[n, j, 0])
        z = low / (pt[n, i, 0] + pt[n, j, 0])
        expected = [np.log(dr), np.log(low * dr), np.log(z)]
        np.testing.assert_allclose(features[n, i, j], expected, rtol=1e-3, atol=1e-4)


def test_defaults_have_tau_ml_tools_sizes():
    """A block has two normalisations, queries, keys and values, their mixing, feed-forward."""
    network = Transformer(type="transformer")
    features = {"tracks": 9, "clusters": 7, "neutral_pfos": 12, "conversions": 4}
    block = 2 * 128 + 65 * 192 + 65 * 64 + 65 * 256 + 257 * 64
    embedding = sum((count + 1) * 64 for count in [*features.values(), 11])
    total = 6 * block + embedding + 64 + 128 + 65 * 1
    assert (
        total
        == 303_233
        == describe(spec_of(network, candidate=11, groups=features), network).parameters
    )


def test_gelu_and_its_gradient_are_those_of_keras():
    network = Transformer(type="transformer", groups=OBJECTS, layers=1, dim=8, heads=2)
    model = build_model(spec_for(network), network, seed=1)
    x = np.linspace(-4, 4, 50, dtype=np.float32)[:, None]
    ours, expected = (
        gradients(function, x, [])
        for function in (model.get_layer("block_1_forward_1_activate"), keras.activations.gelu)
    )
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_pairwise_attention_needs_coordinates_among_the_features():
    network = Transformer(type="transformer", groups=OBJECTS, pairwise=True)
    with pytest.raises(ValueError, match="expected tracks to have a feature d_eta"):
        build_model(spec_for(network), network, seed=1)


def test_pair_features_change_the_attention_bias():
    names = {"eta": "f2", "phi": "f1", "pt": "f0"}
    network = Transformer(
        type="transformer", groups=OBJECTS, layers=1, dim=8, heads=2, pairwise=True,
        coordinates=names, drop="tracks.f3",
    )  # fmt: skip
    spec = spec_for(network)
    model = build_model(spec, network, seed=1)
    bias = keras.Model(model.inputs, model.get_layer("attention_bias").output)
    inputs = batch(spec)
    nearer = {**inputs, "tracks": inputs["tracks"] * np.float32([1, 0.5, 0.5, 1])}
    difference = np.abs(np.asarray(bias(nearer)) - np.asarray(bias(inputs)))
    several = inputs["tracks_mask"].sum(axis=1) > 1
    assert (difference[several][:, :, 1:3, 1:3].max(axis=(1, 2, 3)) > 1e-3).all()
