"""Compare the gradient of every weight of every network with finite differences in float64.

A wrong gradient does not show in the outputs: TensorFlow's LSTM kernel once gave Keras's states
and the gradient of another kernel. So each network is built twice with the same weights. Its
gradient in float64 is compared with central differences along a random direction of each weight;
its gradient in float32, where our own kernels are used, is compared with that in float64.
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
"""Step of the finite differences, along a random direction of a weight."""
SIZE = 24
PATTERNS = ("any", "none", "one", "all")
"""Numbers of objects; "any" has candidates with none, one and all. The default run has two."""


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
    """Return candidates with no object, one object, all slots filled, or any number of objects.

    With "any", the first three candidates have none, one and all.
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


class NetworkLoss:
    """Loss of a network and its gradients, in the precision of the network.

    Args:
        model: the network.
        weights: its new weights.
        traced: trace the loss, which pays off if it is evaluated often.
    """

    def __init__(
        self, model: keras.Model, weights: list[np.ndarray], *, traced: bool = False
    ) -> None:
        self.model = model
        model.set_weights(weights)
        self._evaluate = tf.function(self._loss, autograph=False) if traced else self._loss

    def _loss(self, x, slopes):
        p = self.model(x, training=True)
        return -tf.reduce_mean(tf.math.log(p + 1e-3) * slopes)

    def loss(self, inputs, labels, *, evaluate=None):
        dtype = keras.backend.standardize_dtype(self.model.outputs[0].dtype)
        x = {
            name: tf.constant(a if a.dtype == bool else a.astype(dtype))
            for name, a in inputs.items()
        }
        slopes = labels + 0.1 * np.cos(np.arange(labels.size).reshape(labels.shape))
        return (evaluate or self._loss)(x, tf.constant(slopes.astype(dtype)))

    def gradients(self, inputs, labels, *, scale: float = 1.0) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            loss = scale * self.loss(inputs, labels)
        computed = tape.gradient(loss, [w.value for w in self.model.trainable_weights])
        return [
            np.zeros(w.shape) if g is None else tf.convert_to_tensor(g).numpy() / scale
            for g, w in zip(computed, self.model.trainable_weights, strict=True)
        ]

    def slope(self, inputs, labels, directions: dict[int, np.ndarray]) -> float:
        """Return the derivative of the loss along directions of some weights, numerically."""
        weights = self.model.trainable_weights
        start, losses = {i: weights[i].numpy() for i in directions}, []
        for step in (STEP, -STEP, 0):
            for i, direction in directions.items():
                weights[i].assign(start[i] + step * direction)
            if step:
                losses.append(float(self.loss(inputs, labels, evaluate=self._evaluate)))
        return (losses[0] - losses[1]) / (2 * STEP)


def start_of(model: keras.Model) -> list[np.ndarray]:
    """Return weights that differ from the initial ones, also the biases, which start at zero."""
    rng = np.random.default_rng(4)
    return [
        w.numpy() if "moving" in w.path else w.numpy() + rng.normal(0, 0.2, w.shape)
        for w in model.weights
    ]


FIRST = {*SMALL, "lstm, 2 layers, both ways", "lstm, 1 layers, reversed", "decay modes, gru"}
"""Networks of the default run: together they have each direction of each cell, and stacks."""
IN_HALF = ("rnn", "gru", "deepsets", "transformer_pairs", "deeptau")


def names_and_patterns() -> Iterator:
    """Recurrent networks have no batch statistics: the pattern "any" is enough for them."""
    for name, network in NETWORKS.items():
        if isinstance(network, (Rnn, DecayModeRnn)):
            marks = () if name in FIRST else pytest.mark.slow
            yield pytest.param(name, PATTERNS[:1], id=name, marks=marks)
        else:
            yield pytest.param(name, PATTERNS[:2], id=name)
            yield pytest.param(name, PATTERNS, id=f"{name}, all patterns", marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "patterns"), names_and_patterns())
def test_gradients_equal_finite_differences_for_any_number_of_objects(name, patterns):
    network = NETWORKS[name]
    spec = spec_for(network, classes=("jet", *MODES))
    labels = one_hot(spec, SIZE)
    single = build_model(spec, network, seed=1)
    weights = start_of(single)
    with in_float64():
        exact = NetworkLoss(build_model(spec, network, seed=1), weights, traced=name in SMALL)
    single = NetworkLoss(single, weights)
    assert {w.dtype for w in exact.model.trainable_weights} == {"float64"}
    has_gradient = np.zeros(len(exact.model.trainable_weights), bool)
    for pattern in patterns if spec.lengths else patterns[:1]:
        inputs = with_objects(spec, pattern)
        with in_float64():
            expected = exact.gradients(inputs, labels)
            each = name in SMALL and pattern == "any"  # more would be slow
            assert_slopes(exact, inputs, labels, expected, each=each)
        computed = single.gradients(inputs, labels)
        # Rows that are all alike are normalised to zeros: what is left of sums is rounding.
        floor = 10.0 if pattern == "none" else 0.01
        assert_near(computed, expected, single.model, tolerance=1e-4, floor=floor)
        has_gradient |= [bool(np.any(gradient)) for gradient in expected]
    assert has_gradient.all()


def assert_slopes(exact: NetworkLoss, inputs, labels, gradients, *, each: bool) -> None:
    """Compare gradients with finite differences along random directions of each weight, or all."""
    rng = np.random.default_rng(1)
    directions = {i: rng.normal(0, 1, gradient.shape) for i, gradient in enumerate(gradients)}
    parts = [{i: direction} for i, direction in directions.items()] if each else [directions]
    for part in parts:
        expected = sum(np.sum(gradients[i] * direction) for i, direction in part.items())
        size = np.linalg.norm([np.linalg.norm(gradients[i]) for i in part])
        computed = exact.slope(inputs, labels, part)
        names = [exact.model.trainable_weights[i].path for i in part]
        assert abs(computed - expected) < 1e-4 * size + 1e-7, names


def assert_near(computed, expected, model, *, tolerance, floor=0.01) -> None:
    """Compare each weight's gradient within a fraction of its norm and of the largest norm."""
    largest = max(np.linalg.norm(gradient) for gradient in expected)
    for a, b, weight in zip(computed, expected, model.trainable_weights, strict=True):
        difference = np.linalg.norm(a - b)
        assert difference < tolerance * (np.linalg.norm(b) + floor * largest) + 1e-9, weight.path


# In half precision, particlenet's second block has other nearest neighbours.
@pytest.mark.parametrize(
    "name", by_default(IN_HALF, [name for name in NETWORKS if name != "particlenet"])
)
def test_half_precision_has_the_same_gradients_within_its_rounding(name):
    network = NETWORKS[name]
    spec = spec_for(network, classes=("jet", *MODES))
    labels, inputs = one_hot(spec, SIZE), with_objects(spec, "any")
    single = build_model(spec, network, seed=1)
    weights = start_of(single)
    half = twin(
        lambda: build_model(spec, network, seed=1), Training(precision="mixed"), precision="mixed"
    )
    expected = NetworkLoss(single, weights).gradients(inputs, labels)
    computed = NetworkLoss(half, weights).gradients(inputs, labels, scale=64.0)
    assert_near(computed, expected, single, tolerance=0.3)
