"""The user's own model on our data: from physical quantities to class probabilities."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tauopt.config.settings.networks import ObjectGroup, OwnModel
from tauopt.errors import TrialFailed
from tauopt.models import blocks
from tauopt.models.build_model import build_model, build_trainable
from tauopt.models.hypermodel.compiled_model import CompiledBy, OwnLoss, compiled_by
from tauopt.models.hypermodel.hypermodel_network import build, flat_inputs, settle
from tauopt.models.hypermodel.load_hypermodel import WrongModelError, flat_features
from tauopt.models.hypermodel.recording_hyperparameters import answer_default, answer_within
from tauopt.models.model_file import load_model, save_model
from tests.models.specs import batch, one_hot, spec_for

GROUPS = {"tracks": ObjectGroup(length=4), "clusters": ObjectGroup(length=2)}


def own(name, **hyperparameters):
    type_ = f"tests.hypermodels.examples:{name}"
    return OwnModel(type=type_, groups=GROUPS, hyperparameters=hyperparameters)


def settled(model, **spec):
    """Return a model with a value for every hyperparameter, and its input spec."""
    the_spec = spec_for(model, **spec)
    answer = answer_within(model.hyperparameters, answer_default)
    return settle(model, build(model, the_spec, answer, seed=0)), the_spec


def outputs(model, inputs):
    return np.asarray(model(inputs, training=False))


@pytest.mark.parametrize("name", ["Towers", "Knobs", "OnTracks"])
def test_the_output_is_probabilities_whatever_lies_in_the_padding(name):
    settings, spec = settled(own(name))
    network, inputs = build_model(spec, settings, seed=1), batch(spec)
    p = outputs(network, inputs)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    rubbish = {
        name: np.where(inputs[f"{name}_mask"][..., None], x, 1e30) if name in GROUPS else x
        for name, x in inputs.items()
    }
    np.testing.assert_array_equal(outputs(network, rubbish), p)


def test_flat_features_are_the_candidates_own_then_each_groups_objects_in_order():
    spec = spec_for(own("Towers"))
    symbolic = blocks.inputs(spec)
    flattened = keras.Model(symbolic.raw, flat_inputs(symbolic))
    pieces = keras.Model(
        symbolic.raw,
        {"candidate": symbolic.candidate, **{n: g.rows for n, g in symbolic.groups.items()}},
    )
    inputs = batch(spec)
    features, parts = outputs(flattened, inputs), pieces(inputs)
    assert features.shape == (32, flat_features(spec)) == (32, 5 + 4 * 4 + 2 * 3)
    for i in range(32):
        row = list(parts["candidate"][i])
        for name, length in spec.lengths.items():
            for position in range(length):
                row += list(parts[name][i * length + position])
        np.testing.assert_array_equal(features[i], row)


def test_weights_depend_on_the_seed_alone():
    settings, spec = settled(own("Towers", kind="deep"))
    inputs = batch(spec)
    first = outputs(build_model(spec, settings, seed=1), inputs)
    np.testing.assert_array_equal(outputs(build_model(spec, settings, seed=1), inputs), first)
    assert not np.array_equal(outputs(build_model(spec, settings, seed=2), inputs), first)


def test_a_saved_model_holds_no_optimizer_and_loads_in_safe_mode(tmp_path):
    settings, spec = settled(own("Knobs"))
    network, inputs = build_model(spec, settings, seed=1), batch(spec)
    save_model(network, tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(outputs(loaded, inputs), outputs(network, inputs))
    assert "SGD" not in network.to_json()


def test_a_single_output_is_the_probability_of_the_signal():
    settings, spec = settled(own("Knobs"), classes=("tau", "jet"))
    network, made = build_trainable(spec, settings, seed=1)
    inputs = batch(spec)
    single = outputs(keras.Model(network.input, made.output_of(network)), inputs)
    np.testing.assert_array_equal(outputs(network, inputs)[:, 0], single[:, 0])


def test_a_model_with_inputs_of_our_names_gets_physical_quantities():
    settings, spec = settled(own("OnTracks"))
    network, inputs = build_model(spec, settings, seed=1), batch(spec)
    assert {x.name for x in network.inputs} >= {"candidate", "tracks", "tracks_mask"}
    changed = {**inputs, "clusters": inputs["clusters"] * 2}
    np.testing.assert_array_equal(outputs(network, changed), outputs(network, inputs))
    changed = {**inputs, "tracks": inputs["tracks"] * 2}
    assert not np.array_equal(outputs(network, changed), outputs(network, inputs))


def test_a_compiled_model_keeps_its_optimizer_and_loss():
    settings, spec = settled(own("Knobs", lr=0.01))
    _, made = build_trainable(spec, settings, seed=1)
    assert isinstance(made.optimizer, keras.optimizers.SGD)
    assert float(made.optimizer.learning_rate) == pytest.approx(0.01)
    assert made.optimizer.momentum == 0.5
    assert made.loss.loss is keras.losses.binary_crossentropy
    assert build_trainable(spec, settled(own("Towers"))[0], seed=1)[1] is None


def test_loss_weights_are_refused():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "mse", loss_weights=3.0)
    with pytest.raises(WrongModelError, match="loss_weights"):
        compiled_by(model, positive_class=None)


LOSSES = {
    "sparse": ("sparse_categorical_crossentropy", None),
    "categorical": (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), None),
    "sparse class": (keras.losses.SparseCategoricalCrossentropy(), None),
    "binary of the second": ("binary_crossentropy", 1),
    "least squares of the first": ("mse", 0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_labels_are_converted_to_the_form_of_the_models_loss(name):
    inner, positive_class = LOSSES[name]
    rng = np.random.default_rng(2)
    p = rng.dirichlet([1, 1], 32).astype(np.float32)
    spec = spec_for(own("Towers"))
    labels, weights = one_hot(spec), rng.uniform(0.5, 2, 32).astype(np.float32)
    index = labels.argmax(axis=1)
    true = p[np.arange(32), index]
    smooth = 0.9 * labels + 0.05
    expected = {
        "sparse": -np.log(true),
        "sparse class": -np.log(true),
        "categorical": -(smooth * np.log(p)).sum(axis=1),
        "binary of the second": -np.log(true),
        "least squares of the first": (p[:, 0] - labels[:, 0]) ** 2,
    }[name]
    loss = OwnLoss(inner, positive_class=positive_class)
    output = p if positive_class is None else p[:, positive_class : positive_class + 1]
    assert float(loss(labels, output, sample_weight=weights)) == pytest.approx(
        np.mean(expected * weights), rel=1e-4
    )
    mean = CompiledBy(None, loss).mean_loss(p, index, weights)
    assert mean == pytest.approx(np.average(expected, weights=weights), rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_has_the_gradient_of_keras_with_labels_in_the_models_form(name):
    """The reference is the loss of the compiled model, with labels as its author gives them."""
    inner, positive_class = LOSSES[name]
    rng = np.random.default_rng(4)
    p = rng.dirichlet([1, 1], 32).astype(np.float32)
    labels, weights = one_hot(spec_for(own("Towers"))), rng.uniform(0.5, 2, 32).astype(np.float32)
    output = tf.constant(p if positive_class is None else p[:, positive_class : positive_class + 1])
    natural = labels if positive_class is None else labels[:, positive_class : positive_class + 1]
    natural = labels.argmax(axis=1) if "sparse" in name else natural
    model = keras.Sequential([keras.Input((output.shape[1],)), layers.Identity()])
    model.compile("sgd", inner)
    results = []
    for way in (
        lambda: OwnLoss(inner, positive_class=positive_class)(
            labels, output, sample_weight=weights
        ),
        lambda: model.compute_loss(None, natural, output, sample_weight=tf.constant(weights)),
    ):
        with tf.GradientTape() as tape:
            tape.watch(output)
            value = way()
        results.append([value, tape.gradient(value, output)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_model_that_differs_from_the_recorded_one_fails_its_trial():
    settings, spec = settled(own("Towers"))
    values = settings.hyperparameters
    for hyperparameters, message in (
        ({**values, "layers": 1}, "does not ask for 'layers'"),
        ({"kind": "wide", "units": 8}, "asks for the hyperparameter 'drop'"),
        ({**values, "units": 9}, r"declares the hyperparameter 'units' as int \[8, 32\] step 8"),
        ({**values, "units": 16}, "returned another network than before"),
    ):
        changed = settings.model_copy(update={"hyperparameters": hyperparameters})
        with pytest.raises(TrialFailed, match=message):
            build_model(spec, changed, seed=1)
