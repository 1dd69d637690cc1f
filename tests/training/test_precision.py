"""Half precision and XLA, tried on a CPU, which can do both, if slowly."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.config.settings.experiment import Training
from tauopt.errors import TrialFailed, UsageError
from tauopt.models.build_model import build_model
from tauopt.models.model_file import load_model
from tauopt.training import precision
from tauopt.training.fit_segment import fit
from tauopt.training.train_trial import run_trial
from tests.models.specs import MODES, SMALL, batch, by_default, one_hot, spec_for
from tests.prepared_factory import prepared_dataset
from tests.training.test_train_trial import result
from tests.training.toys import Recorder, make_trainer, plan


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=800, chunk_size=170)


@pytest.fixture
def as_if_on_a_gpu(monkeypatch):
    monkeypatch.setattr(precision, "gpus", lambda: ["of a test"])


def both(name, classes=("jet", *MODES)):
    """Return a network in float32, the same in half precision, and its spec."""
    spec = spec_for(SMALL[name], classes=classes)

    def build():
        return build_model(spec, SMALL[name], seed=1)

    return build(), precision.twin(build, Training(), precision="mixed"), spec


@pytest.mark.parametrize("name", SMALL)
def test_every_network_computes_in_half_precision_about_the_same(name):
    full, half, spec = both(name)
    assert "float16" in {layer.compute_dtype for layer in half.layers}
    assert {w.dtype for w in half.trainable_weights} == {"float32"}
    inputs = batch(spec)
    inputs = {k: x if x.dtype == bool else np.clip(x, 0, 50) for k, x in inputs.items()}
    expected, found = (np.asarray(model(inputs, training=False)) for model in (full, half))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.03)


@pytest.mark.parametrize("name", by_default({"gru", "particlenet"}))
def test_every_network_learns_in_half_precision(name):
    """Gradients of the others in half precision are tested in `models/test_gradients.py`."""
    _, half, spec = both(name)
    half.compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=16.0),
        "categorical_crossentropy",
        run_eagerly=True,
    )
    before = half.get_layer("output").kernel.numpy()
    half.train_on_batch(batch(spec), one_hot(spec))
    assert half.optimizer.iterations == 1, "gradients were not finite"
    assert all(np.isfinite(weight).all() for weight in half.get_weights())
    assert not np.array_equal(half.get_layer("output").kernel.numpy(), before)


@pytest.mark.parametrize("name", ["rnn", "deepsets"])
def test_inputs_out_of_range_of_float16_give_finite_outputs(name):
    _, half, spec = both(name, classes=("jet", "tau"))
    for value in (1e5, -1e30, 3.4e38):
        inputs = {
            key: x if x.dtype == bool else np.full_like(x, value) for key, x in batch(spec).items()
        }
        assert np.isfinite(np.asarray(half(inputs, training=False))).all(), value


def test_building_in_half_precision_leaves_the_policy_of_other_models():
    both("dense")
    assert keras.config.dtype_policy().name == "float32"


def test_a_trial_in_mixed_precision_saves_a_network_of_float32(dataset, tmp_path, as_if_on_a_gpu):
    settings = {"precision": "mixed", "ema": 0.5, "schedule": "cosine", "learning_rate": 0.01}
    the_plan = plan(dataset, tmp_path, network="of_all_kinds", **settings)
    reports = list(run_trial(the_plan, tracker=Recorder()))
    assert reports[-1].metrics["loss"] < 0.9
    assert result(tmp_path)["precision"] == "mixed"
    saved = load_model(tmp_path / "best.keras")
    assert {layer.compute_dtype for layer in saved.layers} == {"float32"}


@pytest.mark.slow
def test_a_trial_in_mixed_precision_goes_on_as_if_never_interrupted(
    dataset, tmp_path, as_if_on_a_gpu
):
    settings = {"precision": "mixed", "ema": 0.5, "schedule": "cosine", "learning_rate": 0.01}
    whole, broken = (
        plan(dataset, tmp_path / name, network="deepsets", report_every=300, **settings)
        for name in ("whole", "broken")
    )
    expected = list(run_trial(whole, tracker=Recorder()))
    for _ in run_trial(broken, tracker=Recorder()):
        break
    found = run_trial(broken, tracker=Recorder())
    assert [r.value for r in found] == [r.value for r in expected[1:]]


def test_a_training_begun_without_gpu_does_not_resume_in_half_precision(
    dataset, tmp_path, monkeypatch
):
    the_plan = plan(dataset, tmp_path, precision="mixed")
    monkeypatch.setattr(precision, "gpus", list)
    reports = run_trial(the_plan, tracker=Recorder())
    next(reports)
    reports.close()
    monkeypatch.setattr(precision, "gpus", lambda: ["of a test"])
    with pytest.raises(UsageError, match="precision: was 'float32', is 'mixed'"):
        next(run_trial(the_plan, tracker=Recorder()))


@pytest.mark.slow
def test_a_compiled_trial_learns_as_one_that_is_not(dataset, tmp_path):
    losses = []
    for compiled in (False, True):
        the_plan = plan(
            dataset, tmp_path / str(compiled), batch_size=480, learning_rate=0.01,
            jit_compile=compiled,
        )  # fmt: skip
        losses.append(next(run_trial(the_plan, tracker=Recorder())).metrics["val_loss"])
        assert make_trainer(dataset, jit_compile=compiled)[0].model.jit_compile is compiled
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("name", ["rnn", pytest.param("gru", marks=pytest.mark.slow)])
def test_recurrent_layers_take_steps_that_xla_knows(name):
    spec = spec_for(SMALL[name])

    def build():
        return build_model(spec, SMALL[name], seed=1)

    compiled = precision.twin(build, Training(jit_compile=True), precision="float32")
    inputs = batch(spec)
    found = tf.function(lambda x: compiled(x, training=False), jit_compile=True)(inputs)
    np.testing.assert_allclose(found, build()(inputs, training=False), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_the_steps_that_xla_knows_have_the_gradients_of_the_network(name):
    spec = spec_for(SMALL[name])

    def build():
        return build_model(spec, SMALL[name], seed=1)

    inputs = {key: tf.constant(x) for key, x in batch(spec).items()}
    results = []
    for model in (build(), precision.twin(build, Training(jit_compile=True), precision="float32")):
        with tf.GradientTape() as tape:
            p = model(inputs, training=False)
            loss = tf.reduce_mean(tf.math.log(p[:, 1]))
        results.append(tape.gradient(loss, [w.value for w in model.trainable_weights]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_recurrent_layers_within_layers_are_made_fit_too():
    x = keras.Input((3, 2))
    both_ways = keras.layers.Bidirectional(keras.layers.LSTM(2))
    model = keras.Model(x, keras.layers.Dense(2, activation="softmax")(both_ways(x)))
    training = Training(jit_compile=True)
    fit_for_xla = precision.twin(lambda: model, training, precision="float32")
    fit_for_xla.compile("sgd", "categorical_crossentropy", jit_compile=True)
    assert fit_for_xla.jit_compile is True
    found = tf.function(fit_for_xla, jit_compile=True)(tf.ones((4, 3, 2)))
    np.testing.assert_allclose(found, model(tf.ones((4, 3, 2))), rtol=1e-5)


class _NotForXla(keras.layers.Layer):
    def call(self, x):
        return tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), x.shape)

    def compute_output_shape(self, shape):
        return shape


def with_layer(layer) -> keras.Model:
    x = keras.Input((2,))
    return keras.Model(x, keras.layers.Dense(2, activation="softmax")(layer(x)))


def test_a_layer_that_says_it_can_not_be_compiled_is_refused_by_name():
    layer = keras.layers.Identity(name="stubborn")
    layer.supports_jit = False
    with pytest.raises(TrialFailed, match="stubborn"):
        precision.twin(lambda: with_layer(layer), Training(jit_compile=True), precision="float32")


def test_a_network_that_xla_can_not_compile_fails_at_its_first_batch():
    model = with_layer(_NotForXla())
    model.compile("sgd", "categorical_crossentropy", jit_compile=True)
    data = tf.data.Dataset.from_tensors((tf.ones((4, 2)), tf.eye(4, 2)))
    with pytest.raises(TrialFailed, match="jit_compile: XLA can't compile this network"):
        fit(model, data, should_stop=lambda: False)
