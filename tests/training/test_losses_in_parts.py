"""The loss in two parts against slow references, and the gradient of each head."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from tauopt.config.settings.experiment import Training
from tauopt.config.settings.inputs import InputSpec
from tauopt.models.build_model import build_model
from tauopt.training.losses import keras_loss, mean_loss
from tests.models.specs import SMALL, batch, spec_for

CLASSES = ("jet", "1p0n", "1p1n", "e", "3p0n")
SIGNAL = ("1p0n", "1p1n", "3p0n")
SETTINGS = [
    {},
    {"mode_weight": 0.3},
    {"mode_weight": 0.0},
    {"mode_weight": 2.0, "loss": "focal", "focal_gamma": 2.0},
    {"mode_weight": 0.7, "loss": "focal", "focal_gamma": 0.5, "label_smoothing": 0.2},
    {"label_smoothing": 0.1},
]


def spec(heads="two", *, classes=CLASSES, signal=SIGNAL) -> InputSpec:
    changed = {"classes": classes, "signal": signal, "heads": heads}
    return spec_for(SMALL["dense"]).model_copy(update=changed)


def slow_loss(p, label, *, classes, signal, training) -> float:
    """One candidate, one probability at a time."""

    def part(probabilities, true):
        smoothing, total = training.label_smoothing, 0.0
        for name, q in probabilities.items():
            target = (1 - smoothing) * (name == true) + smoothing / len(probabilities)
            q = min(max(q, 1e-30), 1 - 1e-7)
            factor = (1 - q) ** training.focal_gamma if training.loss == "focal" else 1.0
            total += -target * factor * np.log(q)
        return total

    of = {name: float(q) for name, q in zip(classes, p, strict=True)}
    tau = sum(of[name] for name in signal)
    true = classes[label]
    outcomes = {name: q for name, q in of.items() if name not in signal} | {"tau": tau}
    if true not in signal:
        return part(outcomes, true)
    modes = {name: of[name] / tau for name in signal}
    return part(outcomes, "tau") + training.mode_weight * part(modes, true)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(len(CLASSES)), 60).astype(np.float32)
    return p, rng.integers(0, len(CLASSES), 60), rng.uniform(0, 2, 60)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_loss_in_parts_is_that_of_a_slow_reference(settings, drawn):
    p, labels, weights = drawn
    training = Training(**settings)
    slow = [
        slow_loss(q, label, classes=CLASSES, signal=SIGNAL, training=training)
        for q, label in zip(p, labels, strict=True)
    ]
    loss = keras_loss(training, spec=spec())
    of_keras = np.asarray(loss.call(np.eye(5, dtype=np.float32)[labels], p))
    np.testing.assert_allclose(of_keras, slow, rtol=2e-4, atol=1e-6)
    assert mean_loss(p, labels, weights, training=training, spec=spec()) == pytest.approx(
        np.average(slow, weights=weights), rel=1e-5
    )


def test_crossentropy_in_parts_is_that_of_all_classes(drawn):
    p, labels, weights = drawn
    parts = mean_loss(p, labels, weights, training=Training(), spec=spec("two"))
    whole = mean_loss(p, labels, weights, training=Training(), spec=spec("one"))
    assert parts == pytest.approx(whole, rel=1e-6)


def test_one_head_has_the_loss_in_parts_if_modes_are_weighted(drawn):
    p, labels, weights = drawn
    training = Training(mode_weight=0.5)
    one, two = (
        mean_loss(p, labels, weights, training=training, spec=spec(heads))
        for heads in ("one", "two")
    )
    assert one == two
    assert one < mean_loss(p, labels, weights, training=Training(), spec=spec("one"))


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_certain_wrong_answer_has_finite_loss_and_gradient(settings):
    p = tf.constant(np.eye(5, dtype=np.float32))
    loss = keras_loss(Training(**settings), spec=spec())
    for label in range(5):
        with tf.GradientTape() as tape:
            tape.watch(p)
            value = loss.call(tf.one_hot([label] * 5, 5), p)
        assert np.isfinite(value).all()
        assert np.isfinite(tf.convert_to_tensor(tape.gradient(value, p))).all()


def gradient_of(loss, labels, logits):
    """Return the gradient in the logits, (candidate, class), of the sum of losses."""
    z = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = tf.reduce_sum(loss.call(tf.one_hot(labels, logits.shape[1]), tf.nn.softmax(z)))
    return np.asarray(tape.gradient(value, z))


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_gradient_is_that_of_differences_of_the_slow_reference(settings):
    rng, training = np.random.default_rng(7), Training(**settings)
    logits, labels = rng.normal(0, 2, (15, 5)), np.arange(15) % 5

    def slow(z, label):
        return slow_loss(softmax(z), label, classes=CLASSES, signal=SIGNAL, training=training)

    expected = np.zeros_like(logits)
    for n, i in np.ndindex(logits.shape):
        step = 1e-5 * np.eye(5)[i]
        ahead, back = (slow(logits[n] + sign * step, labels[n]) for sign in (1, -1))
        expected[n, i] = (ahead - back) / 2e-5
    found = gradient_of(keras_loss(training, spec=spec()), labels, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_crossentropy_in_parts_has_the_gradient_of_keras_s_over_all_classes():
    rng = np.random.default_rng(8)
    logits, labels = rng.normal(0, 2, (40, 5)), rng.integers(0, 5, 40)
    parts = gradient_of(keras_loss(Training(), spec=spec("two")), labels, logits)
    whole = gradient_of(keras.losses.CategoricalCrossentropy(), labels, logits)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)


def gradients(labels, **settings) -> dict[str, np.ndarray]:
    """Return the gradients of the heads' kernels for candidates of these classes."""
    the_spec = spec()
    model = build_model(the_spec, SMALL["dense"], seed=1)
    inputs = {name: tf.constant(x[: len(labels)]) for name, x in batch(the_spec).items()}
    inputs["candidate"] *= [1e3, 0.1, 0.1, 1.0, 1e3]  # to where the network is not sure of itself
    kernels = [model.get_layer(name).kernel.value for name in ("identification", "mode")]
    with tf.GradientTape() as tape:
        tape.watch(kernels)
        value = keras_loss(Training(**settings), spec=the_spec)(
            tf.one_hot(labels, 5), model(inputs, training=True)
        )
    found = tape.gradient(value, kernels)
    return dict(zip(("identification", "mode"), map(np.asarray, found), strict=True))


@pytest.mark.parametrize("loss", ["crossentropy", "focal"])
def test_the_mode_head_has_no_gradient_from_fakes(loss):
    fakes = gradients([0, 3, 0, 0, 3, 3], loss=loss)
    assert not fakes["mode"].any()
    assert fakes["identification"].any()
    with_taus = gradients([0, 3, 0, 0, 3, 3, 1, 2, 4], loss=loss)
    assert with_taus["mode"].any()


def test_a_confident_wrong_head_has_its_gradient():
    """The chain rule by hand: d loss / d logits of a head is its softmax less the truth."""
    logits = tf.Variable([[30.0, 0.0, -30.0]])
    with tf.GradientTape() as tape:
        p = 1e-9 * tf.nn.softmax(logits)
        p = tf.concat([[[1.0 - 1e-9]], p], axis=1)
        the_spec = spec(classes=("jet", *SIGNAL))
        value = keras_loss(Training(), spec=the_spec).call(tf.one_hot([3], 4), p)
    assert float(value[0]) == pytest.approx(60 - np.log(1e-9), rel=1e-4)
    found = np.asarray(tf.convert_to_tensor(tape.gradient(value, logits)))
    np.testing.assert_allclose(found, [[1.0, 0.0, -1.0]], atol=1e-4)


def test_without_weight_the_mode_head_has_no_gradient_from_taus():
    found = gradients([1, 2, 4, 1, 2, 4] * 2, mode_weight=0.0)
    assert np.abs(found["mode"]).max() < 1e-4 * np.abs(found["identification"]).max()


def test_the_mode_head_has_no_gradient_from_fakes_with_smoothed_labels():
    found = gradients([0, 3, 0, 0, 3, 3], label_smoothing=0.2)
    assert np.abs(found["mode"]).max() < 1e-4 * np.abs(found["identification"]).max()


def test_a_task_without_background_has_one_part():
    modes = spec("one", classes=SIGNAL, signal=SIGNAL)
    loss = keras_loss(Training(), spec=modes)
    assert isinstance(loss, keras.losses.CategoricalCrossentropy)
