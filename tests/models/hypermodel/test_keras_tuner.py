"""The parts of KerasTuner that tauopt uses, so that a release that changes them is noticed."""

import random

import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.hyperparameters import Float, Int

from tauopt.models.hypermodel.hyperparameter_options import (
    ExplicitSteps,
    MirroredLog,
    matching_option,
)
from tauopt.models.hypermodel.recording_hyperparameters import (
    RecordingHyperParameters,
    answer_default,
    answer_recorded,
    answer_within,
    as_request,
)


def names(hp):
    return [request.name for request in hp.requests]


def test_each_hyperparameter_is_asked_for_once_and_keeps_its_value():
    hp = RecordingHyperParameters(lambda request: 7)
    assert hp.Int("units", 1, 9) == hp.Int("units", 1, 9) == hp.get("units") == 7
    assert names(hp) == ["units"]
    assert hp.values == {"units": 7}


def test_a_scope_that_does_not_hold_is_not_asked_for():
    hp = RecordingHyperParameters(answer_default)
    hp.Choice("kind", ["wide", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        assert hp.Int("units", 1, 9) is None
    with hp.conditional_scope("kind", ["wide"]):
        assert hp.Int("units", 2, 9) == 2
    assert names(hp) == ["kind", "units"]
    assert hp.requests[1].scope == (("kind", ("wide",)),)
    assert hp.Int("shared", 1, 3, parent_name="kind", parent_values=["deep"]) is None


def test_name_scopes_stand_before_names():
    hp = RecordingHyperParameters(answer_default)
    with hp.name_scope("tracks"), hp.name_scope("phi"):
        hp.Boolean("drop")
    assert names(hp) == ["tracks/phi/drop"]


def test_a_model_that_is_not_tunable_uses_defaults_and_requests_nothing():
    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            return hp.Int("units", 3, 9)

    hp = RecordingHyperParameters(lambda request: 7)
    assert Model(tunable=False).build(hp) == 3
    assert not hp.requests
    assert Model().build(hp) == 7


def test_a_subclass_that_does_not_override_fit_has_that_of_hypermodel():
    class Model(keras_tuner.HyperModel):
        pass

    assert Model.fit is keras_tuner.HyperModel.fit


def test_defaults_are_the_models_own():
    hp = RecordingHyperParameters(answer_default)
    assert hp.Int("i", 1, 9, default=4) == 4
    assert hp.Float("f", 0.5, 1.5) == 0.5
    assert hp.Choice("c", ["a", "b"], default="b") == "b"
    assert hp.Boolean("b", default=True) is True
    assert hp.Fixed("x", "fixed") == "fixed"
    assert hp.Float("r", 0.01, 0.9, sampling="reverse_log", default=0.5) == pytest.approx(0.5)


KINDS = {
    "int": Int("x", 3, 17),
    "int step": Int("x", 3, 17, step=5),
    "int log": Int("x", 3, 70, sampling="log"),
    "int log step": Int("x", 3, 70, step=2, sampling="log"),
    "int reverse": Int("x", 3, 70, sampling="reverse_log"),
    "int reverse step": Int("x", 3, 70, step=2, sampling="reverse_log"),
    "float": Float("x", 0.5, 1.5),
    "float step": Float("x", 0.5, 1.5, step=0.25),
    "float log": Float("x", 1e-4, 1.0, sampling="log"),
    "float log step": Float("x", 1e-4, 1.0, step=10, sampling="log"),
    "float reverse": Float("x", 0.1, 0.9, sampling="reverse_log"),
    "float reverse step": Float("x", 0.1, 0.9, step=2, sampling="reverse_log"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_that_keras_tuner_samples_is_an_option(kind):
    hp, rng = KINDS[kind], random.Random(1)
    options = as_request(hp).options
    for _ in range(200):
        value = hp.prob_to_value(rng.random())
        if kind == "int reverse":  # KerasTuner's own sampling reaches one above the maximum
            value = min(value, 70)
        assert matching_option(options, value) == pytest.approx(value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "step" in kind])
def test_steps_reach_the_values_that_keras_tuner_lists(kind):
    hp = KINDS[kind]
    options = as_request(hp).options
    listed = sorted(int(value) if isinstance(hp, Int) else value for value in hp.values)
    if isinstance(options, ExplicitSteps):
        assert list(options.values) == pytest.approx(listed)
    else:
        ours = np.arange(options.low, options.high + options.step / 2, options.step)
        assert list(ours) == pytest.approx(listed)


def test_reverse_log_is_denser_where_keras_tuner_is():
    options = as_request(KINDS["float reverse"]).options
    assert isinstance(options, MirroredLog)
    for part in (0.1, 0.5, 0.9):
        inner = options.inner.low * (options.inner.high / options.inner.low) ** (1 - part)
        assert options.mirror(inner) == pytest.approx(KINDS["float reverse"].prob_to_value(part))


def test_hyperparameters_that_a_file_fixes_are_not_requested():
    hp = RecordingHyperParameters(
        answer_within({"units": 4, "kind": "deep"}, lambda request: pytest.fail("asked"))
    )
    assert (hp.Int("units", 1, 9), hp.Choice("kind", ["wide", "deep"])) == (4, "deep")
    assert hp.Fixed("fixed", 3) == 3


def test_recorded_values_are_returned_with_their_types():
    hp = RecordingHyperParameters(answer_recorded({"units": 4, "rate": 1, "drop": False}))
    assert repr([hp.Int("units", 1, 9), hp.Float("rate", 0, 1), hp.Boolean("drop")]) == (
        "[4, 1.0, False]"
    )
