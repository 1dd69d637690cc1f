"""Scores of saved models against explicit formulas, and output heads."""

from __future__ import annotations

import keras
import numpy as np
import onnxruntime
import pytest

from tauopt.models.build_model import build_model
from tauopt.models.model_file import load_model, save_model
from tauopt.models.output_scores import (
    AgainstClass,
    AmongClasses,
    SumOfClasses,
    only_probabilities,
    with_scores,
)
from tests.models.specs import SMALL, batch, spec_for

TASKS = {
    "id": (("jet", "tau"), ("tau",)),
    "tau first": (("tau", "jet"), ("tau",)),
    "unified": (("jet", "1p0n", "1p1n", "3p0n"), ("1p0n", "1p1n", "3p0n")),
    "deeptau": (("e", "mu", "tau", "jet"), ("tau",)),
    "all": (("1p0n", "jet", "3p0n", "e"), ("3p0n", "1p0n")),
    "modes": (("1p0n", "1p1n", "3p0n"), ("1p0n", "1p1n", "3p0n")),
}
WITH_TWO_HEADS = ("unified", "all")


def spec(task, heads="one", network="dense"):
    classes, signal = TASKS[task]
    changed = {"classes": classes, "signal": signal, "heads": heads}
    return spec_for(SMALL[network]).model_copy(update=changed)


def saved(the_spec, path, network="dense"):
    model = build_model(the_spec, SMALL[network], seed=1)
    whole = with_scores(model, classes=the_spec.classes, signal=the_spec.signal)
    save_model(whole, path)
    return model, load_model(path)


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_model_gives_the_scores_of_its_task(task, tmp_path):
    the_spec = spec(task)
    classes, signal = TASKS[task]
    model, loaded = saved(the_spec, tmp_path / "m.keras")
    inputs = batch(the_spec)
    p = np.asarray(model(inputs, training=False))
    p_of = dict(zip(classes, p.T, strict=True))
    p_signal = sum(p_of[name] for name in signal)
    expected = {"probabilities": p}
    others = [name for name in classes if name not in signal]
    if others:
        expected["signal_score"] = p_signal
        if len(signal) > 1:
            modes = [p_of[name] / p_signal for name in classes if name in signal]
            expected["mode_scores"] = np.stack(modes, axis=1)
    if len(others) > 1:
        expected |= {f"against_{name}": p_signal / (p_signal + p_of[name]) for name in others}
    scores = loaded(inputs, training=False)
    assert set(scores) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-5, atol=1e-7, err_msg=name)


def test_scores_add_no_weights_and_keep_the_order_of_weights(tmp_path):
    model, loaded = saved(spec("all", network="rnn"), tmp_path / "m.keras", "rnn")
    for loaded_weight, weight in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded_weight, weight)


@pytest.mark.parametrize("task", ["id", "all"])
def test_the_probabilities_of_a_saved_model_are_those_of_the_network(task, tmp_path):
    the_spec = spec(task)
    model, loaded = saved(the_spec, tmp_path / "m.keras")
    inputs = batch(the_spec)
    part = only_probabilities(loaded)
    assert part.output.shape == (None, len(the_spec.classes))
    np.testing.assert_array_equal(part(inputs), model(inputs))
    assert only_probabilities(model) is model


def test_scores_are_finite_where_all_their_probabilities_vanish():
    p = np.array([[0.0, 1.0, 0.0, 0.0]], np.float32)
    assert np.asarray(SumOfClasses([2, 3])(p)).tolist() == [0.0]
    assert np.asarray(AmongClasses([2, 3])(p)).tolist() == [[0.0, 0.0]]
    assert np.asarray(AgainstClass([2, 3], 0)(p)).tolist() == [0.0]


@pytest.mark.parametrize("task", WITH_TWO_HEADS)
@pytest.mark.parametrize("network", ["dense", "deepsets", "rnn"])
def test_two_heads_give_probabilities_of_all_classes(task, network):
    the_spec = spec(task, "two", network)
    model = build_model(the_spec, SMALL[network], seed=1)
    inputs = batch(the_spec)
    p = np.asarray(model(inputs, training=False))
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-5)
    heads = model.get_layer("probabilities").input
    outer, inner = keras.Model(model.input, heads)(inputs, training=False)
    classes, signal = TASKS[task]
    background = [name for name in classes if name not in signal]
    modes = [name for name in classes if name in signal]
    for column, name in enumerate(classes):
        slow = (
            np.asarray(outer)[:, -1] * np.asarray(inner)[:, modes.index(name)]
            if name in signal
            else np.asarray(outer)[:, background.index(name)]
        )
        np.testing.assert_allclose(p[:, column], slow, rtol=1e-6, atol=1e-37)


def test_two_heads_have_a_unit_more_than_one():
    one, two = (
        build_model(spec("unified", heads), SMALL["dense"], seed=1) for heads in ("one", "two")
    )
    trunk = one.get_layer("output").kernel.shape[0]
    assert two.count_params() == one.count_params() + trunk + 1


@pytest.mark.filterwarnings("ignore:In the future:FutureWarning")  # of tf2onnx, about numpy
def test_a_model_with_two_heads_is_saved_and_exported_with_its_scores(tmp_path):
    the_spec = spec("all", "two")
    model, loaded = saved(the_spec, tmp_path / "m.keras")
    inputs = batch(the_spec)
    expected = loaded(inputs, training=False)
    np.testing.assert_array_equal(expected["probabilities"], model(inputs, training=False))
    loaded.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    names = [output.name for output in session.get_outputs()]
    feeds = {x.name: inputs[x.name] for x in session.get_inputs()}
    scores = dict(zip(names, session.run(None, feeds), strict=True))
    assert set(scores) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
