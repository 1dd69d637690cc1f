"""Contract tests of all networks; a line in `specs.SMALL` adds a new network."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import keras
import numpy as np
import onnxruntime
import pytest

from tauopt.config.settings.inputs import CANDIDATE, InputSpec
from tauopt.config.settings.networks import AnyNetwork
from tauopt.config.settings.networks.input_selection import dropped_features
from tauopt.models.build_model import BUILDERS, build_model, describe
from tauopt.models.model_file import load_model, save_model
from tauopt.models.recurrent import Lstm
from tests.models.specs import MODES, SMALL, batch, by_default, one_hot, spec_for

IGNORE_ORDER = [name for name, network in SMALL.items() if network.ignores_order]
PADDING_IS_SEEN = ("dense_flat",)
"""Flattened objects have a weight for each slot, so the number of slots matters."""
MANY = 128
"""Candidates in a batch that is large enough to change every weight."""
HAVE_OBJECTS = [name for name, network in SMALL.items() if set(network.seen()) - {CANDIDATE}]


@dataclass(frozen=True)
class Built:
    """A network with its spec, its initial weights, and a model with randomised weights."""

    network: AnyNetwork
    spec: InputSpec
    start: list[np.ndarray]
    model: keras.Model


@pytest.fixture(scope="module", params=SMALL)
def built(request):
    network = SMALL[request.param]
    spec = spec_for(network, classes=("jet", *MODES))
    model = build_model(spec, network, seed=1)
    return Built(network, spec, model.get_weights(), randomised(model))


def test_every_registered_network_is_tested():
    assert {type(network) for network in SMALL.values()} == set(BUILDERS)


def randomised(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(3)
    for weight in model.weights:
        if "moving" not in weight.path:  # a variance must stay positive
            weight.assign(weight.numpy() + rng.normal(0, 0.1, weight.shape))
    return model


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile without tracing, which takes longer than the few steps of a test."""
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", run_eagerly=True)


def outputs(model: keras.Model, inputs: dict) -> np.ndarray:
    return np.asarray(model(inputs, training=False))


def test_output_is_probabilities_in_class_order(built):
    spec, model = built.spec, built.model
    p = outputs(model, batch(spec))
    assert p.shape == (32, 6)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_inputs_are_those_of_the_spec(built):
    spec, model = built.spec, built.model
    expected = {"candidate": (None, len(spec.candidate.features))}
    for name, length in spec.lengths.items():
        expected[name] = (None, length, len(spec.group(name).features))
        expected[f"{name}_mask"] = (None, length)
    assert {x.name: tuple(x.shape) for x in model.inputs} == expected


def test_values_in_masked_slots_do_not_change_the_output(built):
    """Each kind of bad value is in other candidates."""
    spec, model = built.spec, built.model
    clean = batch(spec)
    rubbish = np.resize(np.float32([-999.0, 1e30, np.nan, np.inf]), (32, 1, 1))
    dirty = dict(clean)
    for name in spec.lengths:
        dirty[name] = np.where(clean[f"{name}_mask"][..., None], clean[name], rubbish)
    np.testing.assert_array_equal(outputs(model, dirty), outputs(model, clean))


def test_training_changes_every_weight_and_ignores_masked_slots(built):
    spec, model = built.spec, built.model
    clean = batch(spec, size=MANY)
    dirty = dict(clean)
    for name in spec.lengths:
        dirty[name] = np.where(clean[f"{name}_mask"][..., None], clean[name], np.float32(1e6))
    before = [variable.numpy() for variable in model.variables]
    trainable = {variable.path for variable in model.trainable_variables}
    first, second = (trained_once(model, before, inputs, spec) for inputs in (clean, dirty))
    for variable, old, new, same in zip(model.variables, before, first, second, strict=True):
        np.testing.assert_array_equal(new, same)
        assert np.isfinite(new).all()
        assert variable.path not in trainable or not np.array_equal(new, old), variable.path
    assign(model, before)


def trained_once(model, start, inputs, spec) -> list[np.ndarray]:
    assign(model, start)
    compiled(model, keras.optimizers.Adam(0.01))
    model.train_on_batch(inputs, one_hot(spec, MANY))
    return [variable.numpy() for variable in model.variables]


def assign(model, values) -> None:
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def test_candidates_without_objects_give_finite_output(built):
    spec, model = built.spec, built.model
    inputs = batch(spec)
    for name in spec.lengths:
        inputs[name] = np.zeros_like(inputs[name])
        inputs[f"{name}_mask"] = np.zeros_like(inputs[f"{name}_mask"])
    assert np.isfinite(outputs(model, inputs)).all()


def test_extreme_features_give_finite_output(built):
    """Each value is in other candidates."""
    spec, model = built.spec, built.model
    extreme = np.resize(np.float32([0.0, -1.0, 1e-38, 1e30, -1e30, 3.4e38, np.inf, -np.inf]), 32)
    inputs = {
        name: x if x.dtype == bool else np.broadcast_to(extreme, x.shape[::-1]).T.copy()
        for name, x in batch(spec).items()
    }
    finite = np.isfinite(outputs(model, inputs)).all(axis=1)
    assert finite.all(), extreme[~finite]


def seen_features(network, spec) -> dict[str, list[int]]:
    """Return the positions of the features that a network uses, by input."""
    dropped = dropped_features(network.drop)
    groups = [spec.candidate, *(spec.group(name) for name in spec.lengths)]
    return {
        group.name: [
            position
            for position, feature in enumerate(group.features)
            if feature.name not in dropped.get(group.name, ())
        ]
        for group in groups
        if group.name in network.seen()
    }


def test_a_feature_that_is_nan_is_not_hidden(built):
    spec, model = built.spec, built.model
    for name, positions in seen_features(built.network, spec).items():
        inputs = batch(spec)
        if name == CANDIDATE:
            inputs[name][3, positions[-1]] = np.nan
        else:
            inputs[f"{name}_mask"][3, 0] = True
            inputs[name][3, 0, positions[-1]] = np.nan
        p = outputs(model, inputs)
        assert np.isnan(p[3]).all()
        assert np.isfinite(np.delete(p, 3, axis=0)).all()


def test_features_that_the_network_does_not_use_do_not_change_the_output(built):
    spec, model = built.spec, built.model
    inputs = batch(spec)
    seen = seen_features(built.network, spec)
    other = {}
    for name, x in inputs.items():
        hidden = np.ones(x.shape[-1], bool)
        hidden[seen.get(name, [])] = False
        other[name] = x if x.dtype == bool else np.where(hidden, np.float32(np.nan), x)
    np.testing.assert_array_equal(outputs(model, other), outputs(model, inputs))


def test_the_output_of_a_candidate_does_not_depend_on_the_others_in_its_batch(built):
    spec, model = built.spec, built.model
    inputs = batch(spec)
    alone = outputs(model, {name: x[5:6] for name, x in inputs.items()})
    np.testing.assert_allclose(alone, outputs(model, inputs)[5:6], rtol=1e-4, atol=1e-6)


def test_a_saved_model_gives_equal_output(built, tmp_path):
    spec, model = built.spec, built.model
    digest = save_model(model, tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras", sha256=digest)
    np.testing.assert_array_equal(outputs(again, batch(spec)), outputs(model, batch(spec)))
    assert list(tmp_path.iterdir()) == [tmp_path / "model.keras"]


@pytest.mark.parametrize("built", by_default({"rnn", "particlenet_plain"}), indirect=True)
def test_the_model_exports_to_onnx(built, tmp_path, monkeypatch):
    """The default run has the two most different networks: one recurrent, one that gathers."""
    monkeypatch.setattr(Lstm, "whole_sequences", False)
    inputs = batch(built.spec)
    expected = outputs(built.model, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx, about numpy
        built.model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert {x.name for x in session.get_inputs()} == set(inputs)
    np.testing.assert_allclose(session.run(None, inputs)[0], expected, rtol=1e-4, atol=1e-5)


def test_the_seed_decides_the_weights(built):
    same, other = (build_model(built.spec, built.network, seed=seed).weights for seed in (1, 2))
    for old, a, b in zip(built.start, same, other, strict=True):
        np.testing.assert_array_equal(a.numpy(), old)
        assert "kernel" not in b.path or not np.array_equal(b.numpy(), old)


def test_describe_counts_the_parameters_of_the_built_model(built):
    description = describe(built.spec, built.network)
    assert description.parameters == built.model.count_params()
    assert "_preprocess" in description.summary


@pytest.mark.parametrize("name", IGNORE_ORDER)
def test_networks_that_claim_to_ignore_the_order_of_objects_do_so(name):
    spec = spec_for(SMALL[name])
    model = randomised(build_model(spec, SMALL[name], seed=1))
    inputs = batch(spec)
    turned = dict(inputs)
    for group, length in spec.lengths.items():
        order = np.random.default_rng(1).permutation(length)
        turned |= {key: inputs[key][:, order] for key in (group, f"{group}_mask")}
    np.testing.assert_allclose(outputs(model, turned), outputs(model, inputs), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in HAVE_OBJECTS if name not in PADDING_IS_SEEN])
def test_more_padding_does_not_change_the_output(name):
    network = SMALL[name]
    groups = {
        key: value.model_copy(update={"length": value.length + 4})
        for key, value in network.groups.items()
    }
    wide = network.model_copy(update={"groups": groups})
    short = randomised(build_model(spec_for(network), network, seed=1))
    long = build_model(spec_for(wide), wide, seed=1)
    long.set_weights(short.get_weights())
    inputs = batch(spec_for(network))
    padded = {
        key: np.pad(x, [(0, 0), (0, 4)] + [(0, 0)] * (x.ndim - 2)) if key != "candidate" else x
        for key, x in inputs.items()
    }
    np.testing.assert_allclose(outputs(long, padded), outputs(short, inputs), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in HAVE_OBJECTS if name not in PADDING_IS_SEEN])
def test_layers_act_on_variables_not_on_object_slots(name):
    """With a layout (candidate, variable, object), kernels would be as long as the group."""
    network = SMALL[name]
    spec = spec_for(network, tracks=7)
    seen = len(seen_features(network, spec)["tracks"])
    model = build_model(spec, network, seed=1)
    first = next(
        layer for layer in model.layers if layer.name.startswith("tracks") and layer.weights
    )
    assert first.weights[0].shape[0] == seen != spec.lengths["tracks"]
