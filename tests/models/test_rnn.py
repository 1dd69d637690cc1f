from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tauopt.config.settings.networks import DecayModeRnn, Dense, Rnn, RnnGroup, Tower
from tauopt.models.build_model import build_model, describe
from tauopt.models.object_layers import LastObject, ReverseObjects
from tests.models.specs import MODES, batch, spec_for, spec_of

PUBLISHED_INPUTS = {"candidate": 9, "tracks": 9, "clusters": 7}


def test_defaults_are_the_atlas_baseline():
    network = Rnn(type="rnn")
    assert describe(spec_for(network, **PUBLISHED_INPUTS), network).parameters == 34_297


def test_hyperparameters_reach_the_published_tune():
    two = Tower(layers=2, units=32)
    network = Rnn(
        type="rnn",
        groups={
            "tracks": RnnGroup(length=10, dense=two, rnn_layers=2, units=32),
            "clusters": RnnGroup(length=6, dense=two, rnn_layers=2, units=24),
        },
        merge=Tower(layers=2, units=64, reduction=0.5),
    )
    assert describe(spec_for(network, **PUBLISHED_INPUTS), network).parameters == 56_145


def test_defaults_are_the_published_decay_mode_network():
    """Groups have jet phi and eta, dPhi, dEta, log10 pT and log10 jet pT; neutral PFOs 8 more."""
    network = DecayModeRnn(type="decay_mode_rnn")
    features = {"charged_pfos": 6, "neutral_pfos": 14, "shots": 6, "conversions": 6}
    spec = spec_of(network, candidate=2, groups=features, classes=MODES)
    assert describe(spec, network).parameters == 21_813
    assert network.reversed


def test_reversed_reads_the_leading_object_last():
    groups = {"tracks": RnnGroup(length=5, units=8, dense=Tower(layers=0))}
    ahead = Rnn(type="rnn", groups=groups)
    back = ahead.model_copy(update={"reversed": True})
    spec = spec_for(ahead)
    models = [build_model(spec, network, seed=1) for network in (ahead, back)]
    inputs = batch(spec)
    turned = dict(inputs)
    turned["tracks"] = np.asarray(ReverseObjects()(inputs["tracks"], inputs["tracks_mask"]))
    outputs = [np.asarray(models[0](turned)), np.asarray(models[1](inputs))]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)
    assert not np.allclose(outputs[0], np.asarray(models[0](inputs)), atol=1e-3)


def branches(cell, *, rnn_layers):
    """Return a network's branch over tracks, its layers, and Keras's layers with the same weights.

    Our branch has no mask: it reverses the real objects, and selects the state after the last one.
    Keras's layers have a mask, and `Bidirectional` reverses.
    """
    group = RnnGroup(length=5, units=4, dense=Tower(layers=0), rnn_layers=rnn_layers)
    network = Rnn(
        type="rnn", cell=cell, bidirectional=True, groups={"tracks": group}, inputs="tracks",
        merge=Tower(layers=0),
    )  # fmt: skip
    model = build_model(spec_for(network), network, seed=1)
    kind, theirs = {"lstm": layers.LSTM, "gru": layers.GRU}[cell], []
    mine: list[keras.Layer] = []
    rng = np.random.default_rng(3)
    for number in range(1, rnn_layers + 1):
        both = layers.Bidirectional(kind(4, return_sequences=number < rnn_layers))
        both.build((None, 5, 4 if number == 1 else 8))
        both.set_weights([rng.normal(0, 0.5, w.shape) for w in both.get_weights()])
        for end, layer in (("", both.forward_layer), ("_back", both.backward_layer)):
            mine.append(model.get_layer(f"tracks_{cell}_{number}{end}"))
            mine[-1].set_weights(layer.get_weights())
        theirs.append(both)
    seen = [model.get_layer("tracks_objects").output, model.input["tracks_mask"]]
    return keras.Model(seen, model.get_layer("tracks_directions").output), mine, theirs


@pytest.mark.parametrize("rnn_layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_branch_without_a_mask_equals_keras_layers_with_one(cell, rnn_layers):
    ours, mine, theirs = branches(cell, rnn_layers=rnn_layers)
    rng = np.random.default_rng(0)
    x, slopes = (tf.constant(rng.normal(size=s).astype(np.float32)) for s in ((16, 5, 4), (16, 8)))
    mask = np.arange(5) < rng.integers(0, 6, 16)[:, None]
    mask[0] = False

    def by_keras(x):
        for layer in theirs:
            x = layer(x, mask=mask)
        return x

    results = []
    ways = (lambda x: ours([x, tf.constant(mask)]), mine), (by_keras, theirs)
    for network, parts in ways:
        weights = [w.value for layer in parts for w in layer.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = network(x)
            loss = tf.reduce_sum(y * slopes)
        results.append([y, *tape.gradient(loss, [x, *weights])])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())
    assert not np.asarray(results[0][1])[~mask].any()


@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU])
def test_the_state_at_the_last_object_is_what_keras_masking_keeps(cell):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 6, 3)).astype(np.float32)
    mask = np.arange(6) < rng.integers(0, 7, 16)[:, None]
    sequences = cell(4, return_sequences=True)
    masked = cell(4)
    masked.build(x.shape)
    sequences.build(x.shape)
    masked.set_weights(sequences.get_weights())
    ours = LastObject()(sequences(x), mask)
    np.testing.assert_allclose(ours, masked(x, mask=mask), rtol=1e-5, atol=1e-6)


def test_reversal_turns_real_objects_and_leaves_padding():
    x = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    mask = np.array([[True, True, True, False], [False] * 4])
    turned = np.asarray(ReverseObjects()(x, mask))[..., 0]
    np.testing.assert_array_equal(turned, [[2, 1, 0, 3], [4, 5, 6, 7]])


def test_the_sigmoid_is_the_probability_of_the_signal_class_at_any_index():
    network = Dense(type="dense")
    for classes in (("jet", "tau"), ("tau", "jet")):
        model = build_model(spec_for(network, classes=classes), network, seed=1)
        unit = keras.Model(model.inputs, model.get_layer("output").output)
        x = {"candidate": np.ones((3, 5), np.float32)}
        p = np.asarray(model(x))
        np.testing.assert_allclose(p[:, classes.index("tau")], np.asarray(unit(x))[:, 0])
        np.testing.assert_allclose(p.sum(axis=1), 1)


def test_other_groups_than_those_of_the_spec_are_refused():
    network = Rnn(type="rnn")
    with pytest.raises(ValueError, match="expected the same"):
        build_model(spec_for(Dense(type="dense")), network, seed=1)
