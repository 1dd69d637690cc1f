from __future__ import annotations

import ast
from pathlib import Path

import keras
import numpy as np
import pytest

from tauopt.config.settings.experiment import Training
from tauopt.training import optimizers
from tauopt.training.optimizers import make_optimizer
from tauopt.training.trial_plan import trial_seed


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "sgd"])
def test_the_settings_reach_the_optimizer(name):
    training = Training(optimizer=name, learning_rate=0.02, weight_decay=0.1, clip_norm=2.0)
    optimizer = make_optimizer(training)
    assert optimizer.name == name
    assert float(optimizer.learning_rate) == pytest.approx(0.02)
    assert optimizer.weight_decay == 0.1
    assert optimizer.global_clipnorm == 2.0


@pytest.mark.parametrize(
    ("ours", "kerass"),
    [
        (Training(optimizer="adam", learning_rate=0.1), keras.optimizers.Adam(0.1)),
        (
            Training(optimizer="adamw", learning_rate=0.1, weight_decay=0.2),
            keras.optimizers.AdamW(0.1, weight_decay=0.2),
        ),
        (Training(optimizer="sgd", learning_rate=0.1, momentum=0), keras.optimizers.SGD(0.1)),
        (
            Training(optimizer="sgd", learning_rate=0.1, momentum=0.8, nesterov=False),
            keras.optimizers.SGD(0.1, momentum=0.8),
        ),
        (
            Training(optimizer="sgd", learning_rate=0.1, clip_norm=0.5),
            keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, global_clipnorm=0.5),
        ),
    ],
)
def test_our_kernels_do_what_keras_does(ours, kerass):
    gradients = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    results, names = [], []
    for optimizer in (make_optimizer(ours), kerass):
        # The first has no gradient, and the others come in another order than they were built.
        weights = [
            keras.Variable(np.full((3, 2), value, np.float32), name=name)
            for name, value in (("idle", 0.0), ("kernel", 1.0), ("other", 2.0))
        ]
        optimizer.build(weights)
        for gradient in map(keras.ops.convert_to_tensor, gradients):
            optimizer.apply([2 * gradient, gradient], [weights[2], weights[1]])
        results.append([v.numpy() for v in (*weights, *optimizer.variables)])
        names.append([v.name for v in optimizer.variables])
    assert names[0] == names[1]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_our_optimizers_stand_on_public_names_of_keras_alone():
    """Private names of Keras's optimizers change between minor versions."""
    source = ast.parse(Path(optimizers.__file__).read_text())
    used = {node.attr for node in ast.walk(source) if isinstance(node, ast.Attribute)}
    defined = {node.name for node in ast.walk(source) if isinstance(node, ast.FunctionDef)}
    ours = defined | {"_shared"}
    assert {name for name in used if name.startswith("_")} <= ours
    for name in ("build", "apply", "update_step", "add_variable", "add_optimizer_variables"):
        assert callable(getattr(keras.optimizers.Optimizer, name))


def test_constants_of_adam_are_those_of_keras():
    ours, kerass = make_optimizer(Training()), keras.optimizers.Adam()
    for name in ("beta_1", "beta_2", "epsilon"):
        assert getattr(ours, name) == getattr(kerass, name)


def test_zero_neither_clips_nor_decays():
    optimizer = make_optimizer(Training())
    assert optimizer.global_clipnorm is None
    assert not optimizer.weight_decay


@pytest.mark.parametrize(
    ("momentum", "nesterov", "expected"), [(0.9, True, True), (0.9, False, False), (0, True, False)]
)
def test_nesterov_needs_momentum(momentum, nesterov, expected):
    optimizer = make_optimizer(Training(optimizer="sgd", momentum=momentum, nesterov=nesterov))
    assert optimizer.momentum == momentum
    assert optimizer.nesterov is expected


def test_weight_decay_leaves_biases_alone():
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dense(2, bias_initializer="ones")(x))
    optimizer = make_optimizer(Training(optimizer="adamw", weight_decay=0.5, learning_rate=0.1))
    kernel = model.get_weights()[0]
    optimizer.build(model.trainable_variables)
    optimizer.apply([np.zeros((2, 2), np.float32), np.zeros(2, np.float32)])
    np.testing.assert_allclose(model.get_weights()[0], kernel * 0.95, rtol=1e-6)
    np.testing.assert_array_equal(model.get_weights()[1], 1)


def test_an_unknown_optimizer_is_an_error():
    wrong = Training().model_copy(update={"optimizer": "adamm"})
    with pytest.raises(ValueError, match="adamm"):
        make_optimizer(wrong)


def test_seeds_of_trials_and_studies_differ():
    seeds = {trial_seed(study, number) for study in range(30) for number in range(100)}
    assert len(seeds) == 3000
    assert trial_seed(1, 7) == trial_seed(1, 7)
    assert all(0 <= seed < 2**31 for seed in seeds)
