"""The gradient of every weight of every network, against finite differences in float64.

Training follows gradients, which a comparison of outputs does not see: TensorFlow's kernel of
LSTMs once gave Keras's states and another kernel's gradient. So each network is built twice with
the same weights. In float64 its gradient is held against central differences, a random direction
a weight; in float32, where kernels of our own are used, against that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.config.settings.experiment import Training
from tauopt.config.settings.networks import AnyNetwork, DecayModeRnn, Rnn, RnnGroup, Tower
from tauopt.models.build_model import build_model
from tauopt.training.precision import twin
from tests.models.specs import EIGHT, MERGE, MODES, SMALL, batch, by_default, one_hot, spec_for

STEP = 1e-6
"""Of the differences, along a random direction of a weight."""
SIZE = 24
PATTERNS = ("any", "none", "one", "all")
"""By default the first two: among "any" candidates there are some with one object and with all."""


def recurrent(cell: str, layers: int, **settings) -> Rnn:
    groups = {
        "tracks": RnnGroup(length=5, units=4, dense=EIGHT, rnn_layers=layers),
        "clusters": RnnGroup(length=3, units=4, dense=Tower(layers=0), rnn_layers=layers),
    }
    return Rnn(type="rnn", cell=cell, groups=groups, candidate=EIGHT, **settings)


RECURRENT: dict[str, AnyNetwork] = {
    f"{cell}, {layers} layers{', both ways' * both}{', reversed' * turned}": recurrent(
        cell, layers, bidirectional=both, reversed=turned
    )
    for cell in ("lstm", "gru")
    for layers in (1, 2)
    for both, turned in ((False, False), (True, False), (False, True))
} | {
    f"decay modes, {cell}": DecayModeRnn(
        type="decay_mode_rnn",
        cell=cell,
        groups={"tracks": RnnGroup(length=5, units=4), "clusters": RnnGroup(length=3, units=4)},
        merge=MERGE,
    )
    for cell in ("lstm", "gru")
}
NETWORKS = {
    name: network.model_copy(update={"dropout": 0.0})  # its masks can't be drawn twice
    for name, network in {**SMALL, **RECURRENT}.items()
}


@contextmanager
def in_float64() -> Iterator[None]:
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def with_objects(spec, pattern: str) -> dict[str, np.ndarray]:
    """Return candidates with no object, with one, with all their slots filled, or with any number.

    Of the last, the first three have none, one and all.
    """
    rng = np.random.default_rng(7)
    inputs = batch(spec, size=SIZE, seed=5)
    for name, length in spec.lengths.items():
        counts = {
            "none": np.zeros(SIZE, int),
            "one": np.ones(SIZE, int),
            "all": np.full(SIZE, length),
            "any": np.concatenate([[0, 1, length], rng.integers(0, length + 1, SIZE - 3)]),
        }[pattern]
        mask = np.arange(length) < counts[:, None]
        values = rng.lognormal(1, 2, inputs[name].shape).astype(np.float32)
        inputs |= {name: np.where(mask[..., None], values, 0), f"{name}_mask": mask}
    return inputs


class Lossy:
    """A network's loss on some candidates, and its gradients, all in one precision.

    It is traced where it is to be evaluated often.
    """

    def __init__(
        self, model: keras.Model, weights: list[np.ndarray], *, traced: bool = False
    ) -> None:
        self.model = model
        model.set_weights(weights)
        self._evaluate = tf.function(self._of, autograph=False) if traced else self._of

    def _of(self, x, slopes):
        p = self.model(x, training=True)
        return -tf.reduce_mean(tf.math.log(p + 1e-3) * slopes)

    def loss(self, inputs, labels, *, evaluate=None):
        dtype = keras.backend.standardize_dtype(self.model.outputs[0].dtype)
        x = {
            name: tf.constant(a if a.dtype == bool else a.astype(dtype))
            for name, a in inputs.items()
        }
        slopes = labels + 0.1 * np.cos(np.arange(labels.size).reshape(labels.shape))
        return (evaluate or self._of)(x, tf.constant(slopes.astype(dtype)))

    def gradients(self, inputs, labels, *, scale: float = 1.0) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            loss = scale * self.loss(inputs, labels)
        found = tape.gradient(loss, [w.value for w in self.model.trainable_weights])
        return [
            np.zeros(w.shape) if g is None else tf.convert_to_tensor(g).numpy() / scale
            for g, w in zip(found, self.model.trainable_weights, strict=True)
        ]

    def slope(self, inputs, labels, directions: dict[int, np.ndarray]) -> float:
        """Return the slope of the loss along directions of some weights, by finite differences."""
        weights = self.model.trainable_weights
        start, losses = {i: weights[i].numpy() for i in directions}, []
        for step in (STEP, -STEP, 0):
            for i, direction in directions.items():
                weights[i].assign(start[i] + step * direction)
            if step:
                losses.append(float(self.loss(inputs, labels, evaluate=self._evaluate)))
        return (losses[0] - losses[1]) / (2 * STEP)


def start_of(model: keras.Model) -> list[np.ndarray]:
    """Return weights that are far from those of the start, biases too."""
    rng = np.random.default_rng(4)
    return [
        w.numpy() if "moving" in w.path else w.numpy() + rng.normal(0, 0.2, w.shape)
        for w in model.weights
    ]


FIRST = {*SMALL, "lstm, 2 layers, both ways", "lstm, 1 layers, reversed", "decay modes, gru"}
"""Between them they use each direction of each cell, and stacks of layers."""
IN_HALF = ("rnn", "gru", "deepsets", "transformer_pairs", "deeptau")


def names_and_patterns() -> Iterator:
    """Recurrent networks look at each candidate by itself: "any" is enough for them."""
    for name, network in NETWORKS.items():
        if isinstance(network, (Rnn, DecayModeRnn)):
            marks = () if name in FIRST else pytest.mark.slow
            yield pytest.param(name, PATTERNS[:1], id=name, marks=marks)
        else:
            yield pytest.param(name, PATTERNS[:2], id=name)
            yield pytest.param(name, PATTERNS, id=f"{name}, all patterns", marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "patterns"), names_and_patterns())
def test_gradients_are_finite_differences_whatever_objects_there_are(name, patterns):
    network = NETWORKS[name]
    spec = spec_for(network, classes=("jet", *MODES))
    labels = one_hot(spec, SIZE)
    single = build_model(spec, network, seed=1)
    weights = start_of(single)
    with in_float64():
        exact = Lossy(build_model(spec, network, seed=1), weights, traced=name in SMALL)
    single = Lossy(single, weights)
    assert {w.dtype for w in exact.model.trainable_weights} == {"float64"}
    felt = np.zeros(len(exact.model.trainable_weights), bool)
    for pattern in patterns if spec.lengths else patterns[:1]:
        inputs = with_objects(spec, pattern)
        with in_float64():
            expected = exact.gradients(inputs, labels)
            each = name in SMALL and pattern == "any"  # more would be slow
            assert_slopes(exact, inputs, labels, expected, each=each)
        found = single.gradients(inputs, labels)
        # Rows that are all alike are normalised to zeros: what is left of sums is rounding.
        floor = 10.0 if pattern == "none" else 0.01
        assert_near(found, expected, single.model, tolerance=1e-4, floor=floor)
        felt |= [bool(np.any(gradient)) for gradient in expected]
    assert felt.all()


def assert_slopes(exact: Lossy, inputs, labels, gradients, *, each: bool) -> None:
    """Gradients are finite differences along random directions: of each weight, or of all."""
    rng = np.random.default_rng(1)
    directions = {i: rng.normal(0, 1, gradient.shape) for i, gradient in enumerate(gradients)}
    parts = [{i: direction} for i, direction in directions.items()] if each else [directions]
    for part in parts:
        expected = sum(np.sum(gradients[i] * direction) for i, direction in part.items())
        size = np.linalg.norm([np.linalg.norm(gradients[i]) for i in part])
        found = exact.slope(inputs, labels, part)
        names = [exact.model.trainable_weights[i].path for i in part]
        assert abs(found - expected) < 1e-4 * size + 1e-7, names


def assert_near(found, expected, model, *, tolerance, floor=0.01) -> None:
    """Each weight's gradient is right within a fraction of its size, or of the largest one's."""
    largest = max(np.linalg.norm(gradient) for gradient in expected)
    for a, b, weight in zip(found, expected, model.trainable_weights, strict=True):
        apart = np.linalg.norm(a - b)
        assert apart < tolerance * (np.linalg.norm(b) + floor * largest) + 1e-9, weight.path


# In its second block particlenet finds other neighbours where features have fewer digits.
@pytest.mark.parametrize(
    "name", by_default(IN_HALF, [name for name in NETWORKS if name != "particlenet"])
)
def test_half_precision_has_the_same_gradients_but_for_its_few_digits(name):
    network = NETWORKS[name]
    spec = spec_for(network, classes=("jet", *MODES))
    labels, inputs = one_hot(spec, SIZE), with_objects(spec, "any")
    single = build_model(spec, network, seed=1)
    weights = start_of(single)
    half = twin(
        lambda: build_model(spec, network, seed=1), Training(precision="mixed"), precision="mixed"
    )
    expected = Lossy(single, weights).gradients(inputs, labels)
    found = Lossy(half, weights).gradients(inputs, labels, scale=64.0)
    assert_near(found, expected, single, tolerance=0.3)
