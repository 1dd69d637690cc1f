"""A training ends at the weights at which plain Keras ends with the same batches and start.

Forward passes that agree say nothing about gradients, optimizers and weights of candidates. So each
knob is trained with, once by tauopt's trainer and once by `plain_steps` with Keras's optimizers,
or with formulas written out from the settings' descriptions. By default several knobs are turned at
once; the slow tests, which turn one each, say which of them it is, and that without it the weights
would be others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.config.settings.experiment import Experiment
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.stream import batches as stream
from tauopt.training import precision
from tauopt.training.network_and_data import Trainer, TrialData
from tauopt.training.rungs import Rungs, Segment
from tests.prepared_factory import CLASSES, SIGNAL, prepared_dataset
from tests.training.plain_steps import (
    AdamW,
    crossentropy,
    in_parts,
    named,
    plain_batches,
    plain_network,
    plain_training,
    whole,
)
from tests.training.toys import DATA, NETWORKS

SAME, FAR = 1e-4, 1e-2
"""Differences, as fractions of the largest change of the weights beside: sums in
another order come to 1e-5 in ten steps; without the tested knob the differences are large."""
MOVED = 0.01
"""Smallest change of weights in training: 1e-4 of it is ten rounding errors of a weight of 1."""
RATE, CLIP, DECAY = 0.05, 0.05, 0.5
FEW = 120
"""Candidates a batch where four steps are enough."""
SMOOTH = {"activation": "swish", "dropout": 0.0}
"""No random masks, and no kinks: where rounding decides whether a unit's ReLU is active, weights
differ by the gradient of a candidate."""
NORMALIZED = {**NETWORKS["dense"], **SMOOTH, "batch_normalization": True}
OBJECTS = {"groups": {"tracks": {"length": 4}}}
TAUS = {"classes": {"jet": ("jet",), "tau": SIGNAL}, "signal": ("tau",)}
MODES = {
    "classes": {"jet": ("jet",), "1p0n": ("1p0n",), "1p": ("1p1n", "1pXn"), "3p": SIGNAL[3:]},
    "signal": ("1p0n", "1p", "3p"),
}
CYCLE = {"optimizer": "sgd", "schedule": "one_cycle", "momentum_dip": 0.3, "final_rate": 0.1}


@dataclass(frozen=True)
class Pair:
    """A finished training by tauopt, and the inputs for the same training by plain Keras.

    Attributes:
        start: network of Keras's layers with the weights before training.
        segments, batches: trained on; with physics weights.
        before, found: weights by name, before training by tauopt and, as evaluated, after it.
    """

    trainer: Trainer
    data: TrialData
    start: keras.Model
    segments: list[Segment]
    batches: list[Any]
    before: dict[str, np.ndarray]
    found: dict[str, np.ndarray]

    def plain(
        self, optimizer: Any = None, *, loss=crossentropy, schedule=None, factors=None
    ) -> list:
        """Return the steps of plain Keras, by default Adam's with classes of equal weight."""
        factors = balanced(self.data) if factors is None else factors
        weighted = [b._replace(weights=b.weights * (b.one_hot @ factors)) for b in self.batches]
        network = plain_network(self.start)
        optimizer = optimizer or keras.optimizers.Adam(RATE)
        return plain_training(network, weighted, optimizer=optimizer, loss=loss, schedule=schedule)

    def difference(self, expected: dict[str, np.ndarray]) -> float:
        """Return the largest difference from what was found, in units of a weight's change."""
        assert expected.keys() == self.found.keys()
        each = [
            abs(self.found[name] - x).max() / abs(x - self.before[name]).max()
            for name, x in expected.items()
        ]
        return float(np.max(each))

    def check(self, expected, *, idle=None, same=SAME) -> None:
        """Check that weights are as expected, have all changed, and depend on the knob."""
        moved = {name: abs(x - self.before[name]).max() for name, x in expected.items()}
        assert min(moved.values()) > MOVED, moved
        assert self.difference(expected) < same
        if idle is not None:
            assert self.difference(idle) > FAR


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=800, chunk_size=170)


def trained(dataset, *, model=NORMALIZED, task=TAUS, **training) -> Pair:
    """Train by tauopt."""
    settings = {"batch_size": 48, "epochs": 1, "learning_rate": RATE, **training}
    experiment = Experiment(name="toy", data=DATA, task=task, model=model, training=settings)
    data = TrialData(open_dataset(dataset), experiment, 1)
    rungs = Rungs.from_training(experiment.training, candidates=data.candidates)
    trainer = Trainer(data.spec, experiment, seed=1, candidates=rungs.total)
    segments = list(rungs.segments(0, rungs.total))
    start = plain_network(trainer.network)
    before = named(trainer.network, trainer.evaluated_weights())
    for segment in segments:
        with data.train(segment) as fed:
            trainer.model.fit(fed, verbose=0, shuffle=False)
    found = named(trainer.network, trainer.evaluated_weights())
    return Pair(trainer, data, start, segments, plain_batches(data, segments), before, found)


def balanced(data: TrialData, balance: str = "equal", **factors: float) -> np.ndarray:
    """Return the factor on the weights of each task class; the mean candidate weighs 1."""
    columns = data.dataset.train.columns(["labels", "weights"])
    names = np.array(CLASSES)[columns["labels"]]
    sums = {
        task_class: columns["weights"][np.isin(names, members)].sum(dtype=float)
        for task_class, members in data.experiment.task.classes.items()
    }
    jets = sums["jet"]
    taus = sum(sums.values()) - jets
    shared = {
        "equal": sums,
        "signal": {name: jets if name == "jet" else taus for name in sums},
        "none": dict.fromkeys(sums, 1.0),
    }[balance]
    each = np.array([factors.get(name, 1.0) / shared[name] for name in sums])
    return each * len(names) / (each @ list(sums.values()))


def sgd(rate=RATE, *, nesterov=True, **settings):
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=nesterov, **settings)


def decayed_sgd(**settings):
    optimizer = sgd(weight_decay=DECAY, **settings)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


RULES = {
    "adam": ({}, lambda: keras.optimizers.Adam(RATE)),
    "clipped adam": (
        {"clip_norm": CLIP},
        lambda: keras.optimizers.Adam(RATE, global_clipnorm=CLIP),
    ),
    "adamw": ({"optimizer": "adamw", "weight_decay": DECAY}, lambda: AdamW(RATE, decay=DECAY)),
    "nadam": ({"optimizer": "nadam"}, lambda: keras.optimizers.Nadam(RATE)),
    "sgd": ({"optimizer": "sgd", "momentum": 0}, lambda: keras.optimizers.SGD(RATE)),
    "momentum": ({"optimizer": "sgd", "nesterov": False}, lambda: sgd(nesterov=False)),
    "nesterov": ({"optimizer": "sgd"}, sgd),
    "clipped sgd": (
        {"optimizer": "sgd", "clip_norm": CLIP, "learning_rate": 4 * RATE},
        lambda: sgd(4 * RATE, global_clipnorm=CLIP),
    ),
    "decayed sgd": ({"optimizer": "sgd", "weight_decay": DECAY}, decayed_sgd),
}
"""Settings, and the corresponding optimizer of Keras."""
NOT_MEANT = {
    "adamw of all weights": lambda: keras.optimizers.AdamW(RATE, weight_decay=DECAY),
    "sgd with all weights decayed": lambda: sgd(weight_decay=DECAY),
}
"""Optimizers that must not be meant: weight decay excludes biases and normalisations."""


@pytest.fixture(scope="module")
def by_rule(dataset):
    """Rule -> the steps of plain Keras, all from one start."""
    pair = trained(dataset)
    meant = {rule: make for rule, (_, make) in RULES.items()}
    return {rule: pair.plain(make()) for rule, make in (meant | NOT_MEANT).items()}


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_each_optimizer_follows_keras_and_no_other_one(dataset, by_rule, rule):
    pair = trained(dataset, **RULES[rule][0])
    pair.check(by_rule[rule][-1].weights)
    for other in by_rule.keys() - {rule}:
        assert pair.difference(by_rule[other][-1].weights) > FAR, other


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["clipped adam", "clipped sgd"])
def test_the_gradient_is_clipped_in_every_step_of_these_tests(by_rule, rule):
    assert min(step.gradient_norm for step in by_rule[rule]) > CLIP


def cosine(optimizer, progress, *, warm_up, final=0.0):
    falling = (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2
    falling = final + (1 - final) * falling
    optimizer.learning_rate = RATE * (progress / warm_up if progress < warm_up else falling)


def one_cycle(optimizer, progress, *, dip=0.3):
    """Peak at 0.3, as the settings' default says; final rate 0.1."""
    rises = progress < 0.3
    part = progress / 0.3 if rises else (1 - progress) / 0.7
    height = (1 - math.cos(math.pi * part)) / 2
    low = 1 / 25 if rises else 0.1
    optimizer.learning_rate = RATE * (low + (1 - low) * height)
    optimizer.momentum = 0.9 - dip * height


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "warm_up", "final"),
    [
        ({"warm_up": 0.3}, 0.3, 0.0),
        ({"warm_up": 200, "final_rate": 0.2}, 200 / 480, 0.2),  # 10 batches of 48 candidates
    ],
)
def test_cosine_with_warm_up_is_the_rate_of_a_batchs_middle(dataset, settings, warm_up, final):
    pair = trained(dataset, schedule="cosine", **settings)
    expected = pair.plain(schedule=lambda o, p: cosine(o, p, warm_up=warm_up, final=final))
    late = pair.plain(schedule=lambda o, p: cosine(o, p + 1 / 20, warm_up=warm_up, final=final))
    pair.check(expected[-1].weights, idle=late[-1].weights)


@pytest.mark.slow
@pytest.mark.parametrize("nesterov", [True, False])
def test_momentum_falls_while_the_rate_of_a_cycle_rises(dataset, nesterov):
    pair = trained(dataset, nesterov=nesterov, **CYCLE)
    expected = pair.plain(sgd(nesterov=nesterov), schedule=one_cycle)
    constant = pair.plain(sgd(nesterov=nesterov), schedule=lambda o, p: one_cycle(o, p, dip=0.0))
    pair.check(expected[-1].weights, idle=constant[-1].weights)


@pytest.mark.slow
def test_a_cycle_over_growing_batches_goes_by_candidates(dataset):
    growth = {"batch_size": 64, "epochs": 3, "batch_growth": 1.5, "batch_growth_every": 0.3}
    pair = trained(dataset, **growth, **CYCLE)
    assert [len(b.weights) for b in pair.batches] == [64] * 8 + [96] * 5 + [144] * 4
    batches_seen = iter(np.arange(0.5, 17) / 17)
    by_steps = pair.plain(sgd(), schedule=lambda o, _: one_cycle(o, next(batches_seen)))
    pair.check(pair.plain(sgd(), schedule=one_cycle)[-1].weights, idle=by_steps[-1].weights)


def averaged(pair: Pair, steps: list) -> dict[str, np.ndarray]:
    """Return the average that keeps 0.8 of itself at each step, and less in the first ones."""
    average = pair.before
    for number, step in enumerate(steps):
        kept = min(0.8, (1 + number) / (10 + number))
        average = {n: kept * x + (1 - kept) * step.weights[n] for n, x in average.items()}
    return average


@pytest.mark.slow
def test_averaged_weights_are_judged_while_the_others_train_on(dataset):
    pair = trained(dataset, ema=0.8)
    steps = pair.plain()
    pair.check(averaged(pair, steps), idle=steps[-1].weights)
    raw = named(pair.trainer.network, pair.trainer.arrays()["network"])
    replace(pair, found=raw).check(steps[-1].weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("balance", "factors"),
    [("equal", {}), ("signal", {}), ("none", {}), ("signal", {"1p": 3.0, "jet": 0.5})],
)
def test_classes_have_the_weights_that_the_settings_say(dataset, balance, factors):
    """By SGD: Adam does not depend on a common factor on all weights."""
    knobs = {"class_balance": balance, "class_weights": factors}
    pair = trained(dataset, task=MODES, optimizer="sgd", **knobs)

    def plain(balance, factors):
        return pair.plain(sgd(), factors=balanced(pair.data, balance, **factors))[-1].weights

    other = "none" if balance == "equal" else "equal"
    pair.check(plain(balance, factors), idle=plain(other, {}))


FOCAL = {"loss": "focal", "focal_gamma": 1.5}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heads", "training", "loss", "shape"),
    [
        ("one", FOCAL, whole, {"gamma": 1.5}),
        ("one", {"label_smoothing": 0.2}, whole, {"smoothing": 0.2}),
        ("one", {"mode_weight": 0.3}, in_parts, {"mode_weight": 0.3}),
        ("two", {"mode_weight": 3.0}, in_parts, {"mode_weight": 3.0}),
        (
            "two",
            {**FOCAL, "label_smoothing": 0.2},
            in_parts,
            {"mode_weight": 1.0, "gamma": 1.5, "smoothing": 0.2},
        ),
    ],
)
def test_each_loss_is_followed_down_the_gradient_of_its_formula(
    dataset, heads, training, loss, shape
):
    pair = trained(dataset, task={**MODES, "heads": heads}, **training)
    expected = pair.plain(loss=lambda *batch: loss(*batch, **shape))
    pair.check(expected[-1].weights, idle=pair.plain()[-1].weights)


@dataclass(frozen=True)
class Together:
    """Some knobs of a training, and the corresponding parts of plain Keras.

    Attributes:
        training, heads: settings.
        optimizer: makes the one that is meant.
        loss, schedule: as `plain_training` takes them.
        balance, factors: of the classes' weights.
    """

    training: dict[str, Any]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    loss: Callable[[Any, Any, Any], Any] = crossentropy
    schedule: Callable[[Any, float], None] | None = None
    heads: str = "one"
    balance: str = "equal"
    factors: dict[str, float] = field(default_factory=dict)


TOGETHER = {
    "adam clipped, cosine": Together(
        {"clip_norm": CLIP, "schedule": "cosine", "warm_up": 0.3, **FOCAL, "label_smoothing": 0.2},
        lambda: keras.optimizers.Adam(RATE, global_clipnorm=CLIP),
        schedule=lambda o, p: cosine(o, p, warm_up=0.3),
        loss=lambda *batch: whole(*batch, gamma=1.5, smoothing=0.2),
    ),
    "adamw, two heads": Together(
        {"optimizer": "adamw", "weight_decay": DECAY, "mode_weight": 3.0, **FOCAL}
        | {"label_smoothing": 0.2, "class_balance": "signal"}
        | {"class_weights": {"1p": 3.0, "jet": 0.5}},
        lambda: AdamW(RATE, decay=DECAY),
        loss=lambda *batch: in_parts(*batch, mode_weight=3.0, gamma=1.5, smoothing=0.2),
        heads="two",
        balance="signal",
        factors={"1p": 3.0, "jet": 0.5},
    ),
    "nadam, slow": Together(
        {"optimizer": "nadam", "schedule": "cosine", "warm_up": 200, "final_rate": 0.2},
        lambda: keras.optimizers.Nadam(RATE),
        schedule=lambda o, p: cosine(o, p, warm_up=200 / 480, final=0.2),
    ),
    "sgd, a cycle of growing batches": Together(
        {**CYCLE, "batch_size": 96, "epochs": 2, "batch_growth": 1.5, "batch_growth_every": 0.5},
        sgd,
        schedule=one_cycle,
    ),
    "sgd decayed, a cycle without nesterov": Together(
        {**CYCLE, "nesterov": False, "weight_decay": DECAY, "class_balance": "none"}
        | {"mode_weight": 0.3},
        lambda: decayed_sgd(nesterov=False),
        schedule=one_cycle,
        loss=lambda *batch: in_parts(*batch, mode_weight=0.3),
        balance="none",
    ),
}
"""Each knob is turned once at least, each optimizer and each formula of a loss with others."""


@pytest.mark.parametrize("knobs", TOGETHER)
def test_knobs_that_are_turned_together_end_where_plain_keras_does(dataset, knobs):
    """Averaged weights are compared too, while the others train on."""
    meant = TOGETHER[knobs]
    settings = {"batch_size": FEW, "ema": 0.8, **meant.training}
    pair = trained(dataset, task={**MODES, "heads": meant.heads}, **settings)
    factors = balanced(pair.data, meant.balance, **meant.factors)
    steps = pair.plain(meant.optimizer(), loss=meant.loss, schedule=meant.schedule, factors=factors)
    pair.check(averaged(pair, steps), idle=steps[-1].weights)
    raw = named(pair.trainer.network, pair.trainer.arrays()["network"])
    replace(pair, found=raw).check(steps[-1].weights)
    if "growing" in knobs:
        assert [len(batch.weights) for batch in pair.batches] == [96] * 5 + [144] * 4
    if "clipped" in knobs:
        assert max(step.gradient_norm for step in steps) > CLIP


@pytest.mark.parametrize("network", ["rnn", "deepsets"])
def test_networks_of_objects_follow_the_gradients_of_keras_layers(dataset, network):
    pair = trained(dataset, model={**NETWORKS[network], **SMOOTH}, batch_size=FEW)
    pair.check(pair.plain()[-1].weights)


PATHS = {
    "adam": ({}, {}),
    "cycle": (CYCLE, {"schedule": one_cycle}),
}
"""Settings, and the corresponding arguments of `Pair.plain`."""
ONCE = ["cycle", pytest.param("adam", marks=pytest.mark.slow)]
"""A cycle changes both rate and momentum of an optimizer while it trains."""


def plain_path(pair, rule):
    optimizer = keras.optimizers.Adam(RATE) if rule == "adam" else sgd()
    return averaged(pair, pair.plain(optimizer, **PATHS[rule][1]))


@pytest.mark.parametrize("rule", ONCE)
def test_a_compiled_training_ends_where_one_that_is_not_does(dataset, rule):
    pair = trained(dataset, jit_compile=True, ema=0.8, **PATHS[rule][0])
    assert pair.trainer.model.jit_compile
    pair.check(plain_path(pair, rule))


@pytest.mark.parametrize("rule", ONCE)
def test_half_precision_trains_the_same_within_its_digits(dataset, monkeypatch, rule):
    """Float16 has three digits. The number of steps shows that none was skipped as out of range."""
    monkeypatch.setattr(precision, "gpus", lambda: ["of a test"])
    pair = trained(dataset, precision="mixed", ema=0.8, **PATHS[rule][0])
    assert isinstance(pair.trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert "float16" in {layer.compute_dtype for layer in pair.trainer.model.layers}
    assert int(pair.trainer.optimizer.iterations) == len(pair.batches)
    pair.check(plain_path(pair, rule), same=0.01)


def test_streamed_blocks_train_as_copies_in_memory_do(dataset, monkeypatch):
    """TensorFlow reads the blocks' own memory while later blocks are filled."""
    monkeypatch.setattr(stream, "BLOCK", 48)
    pair = trained(dataset, model={**NORMALIZED, **OBJECTS}, epochs=3)
    copies = pair.batches
    inputs = {name: np.concatenate([b.inputs[name] for b in copies]) for name in pair.start.input}
    one_hot = np.concatenate([b.one_hot for b in copies])
    weights = np.concatenate([b.weights for b in copies]) * (one_hot @ pair.data.class_weights)
    trainer = Trainer(pair.data.spec, pair.data.experiment, seed=1, candidates=len(weights))
    fed = tf.data.Dataset.from_tensor_slices((inputs, one_hot, weights)).batch(48)
    trainer.model.fit(fed, verbose=0, shuffle=False)
    for found, same in zip(
        pair.trainer.evaluated_weights(), trainer.evaluated_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, same)
