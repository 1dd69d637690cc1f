"""The learning rate over a training, against slow references and known values."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.config.settings.experiment import Training
from tauopt.training.learning_rate import LearningRate, rate_varies, relative_rate
from tauopt.training.optimizers import make_optimizer

TOTAL = 10_000


def rate(progress: float, **training) -> float:
    """Return the rate relative to its peak."""
    moment = tf.constant(progress, tf.float64)
    return float(relative_rate(Training(**training), moment, total=TOTAL)[0])


def slow_rate(p: float, training: Training) -> float:
    """Return the relative rate by the settings' descriptions, in plain Python."""
    if training.schedule == "one_cycle":
        top, final = training.peak_at, training.final_rate
        if p < top:
            return 1 / 25 + (1 - 1 / 25) * 0.5 * (1 - math.cos(math.pi * p / top))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * (p - top) / (1 - top)))
    warm = training.warm_up if training.warm_up < 1 else training.warm_up / TOTAL
    if p < warm:
        return p / warm
    if training.schedule == "constant":
        return 1.0
    final = training.final_rate
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * (p - warm) / (1 - warm)))


@settings(deadline=None, max_examples=200)
@given(
    st.floats(0, 1),
    st.builds(
        Training,
        schedule=st.sampled_from(["constant", "cosine", "one_cycle"]),
        warm_up=st.sampled_from([0.0, 0.05, 0.5, 2000]),
        peak_at=st.sampled_from([0.01, 0.3, 0.99]),
        final_rate=st.sampled_from([0.0, 0.1, 1.0]),
    ),
)
def test_the_rate_agrees_with_a_slow_reference(progress, training):
    found = float(relative_rate(training, tf.constant(progress, tf.float64), total=TOTAL)[0])
    assert found == pytest.approx(slow_rate(progress, training), abs=1e-9)


@pytest.mark.parametrize("final_rate", [0.0, 0.2])
def test_cosine_is_that_of_keras_also_after_a_warm_up(final_rate):
    for warm_up in (0, 3000):
        theirs = keras.optimizers.schedules.CosineDecay(
            0.0 if warm_up else 1.0, TOTAL - warm_up, alpha=final_rate,
            warmup_target=1.0 if warm_up else None, warmup_steps=warm_up,
        )  # fmt: skip
        for seen in range(0, TOTAL + 1, 250):
            found = rate(seen / TOTAL, schedule="cosine", warm_up=warm_up, final_rate=final_rate)
            assert found == pytest.approx(float(theirs(seen)), abs=1e-6)


def test_cosine_falls_from_its_peak_through_the_middle_to_the_final_rate():
    points = [rate(p, schedule="cosine", final_rate=0.2) for p in (0, 1 / 3, 0.5, 1)]
    assert points == pytest.approx([1.0, 0.8, 0.6, 0.2])


def test_one_cycle_rises_from_a_25th_to_its_peak_and_falls_to_the_final_rate():
    points = [rate(p, schedule="one_cycle", peak_at=0.4) for p in (0, 0.2, 0.4, 0.7, 1)]
    assert points == pytest.approx([0.04, 0.52, 1.0, 0.5, 0.0], abs=1e-12)


@pytest.mark.parametrize("warm_up", [0.1, 1000])
def test_warm_up_is_a_fraction_of_the_training_or_a_number_of_candidates(warm_up):
    points = [rate(p, warm_up=warm_up) for p in (0, 0.05, 0.1, 0.9)]
    assert points == pytest.approx([0, 0.5, 1, 1])


def test_a_warm_up_longer_than_the_training_is_cut_short_with_it():
    assert rate(0.5, warm_up=1e9, schedule="cosine") == pytest.approx(0.5)


def test_the_rate_varies_only_with_a_schedule_or_warm_up():
    assert not rate_varies(Training())
    assert rate_varies(Training(warm_up=0.1))
    assert rate_varies(Training(schedule="cosine"))
    assert rate_varies(Training(schedule="one_cycle"))


def test_an_unknown_schedule_is_an_error():
    with pytest.raises(ValueError, match="cosin"):
        Training(schedule="cosin")
    wrong = Training().model_copy(update={"schedule": "cosin"})
    with pytest.raises(ValueError, match="cosin"):
        relative_rate(wrong, tf.constant(0.5, tf.float64), total=TOTAL)


def optimizer_with_schedule(**training):
    settings_ = Training(**training)
    optimizer = make_optimizer(settings_)
    optimizer.build([keras.Variable(np.ones(2, np.float32))])
    return optimizer, LearningRate(settings_, optimizer, total=TOTAL)


def walk(optimizer, schedule, sizes) -> list[float]:
    """Return the learning rate of each of some batches."""
    step, rates = tf.function(schedule.advance, reduce_retracing=True), []
    for size in sizes:
        step(tf.constant(size))
        rates.append(float(optimizer.learning_rate))
    return rates


def test_a_batch_is_trained_at_the_rate_of_its_middle_whatever_the_sizes_before():
    training = {"learning_rate": 0.5, "schedule": "cosine", "warm_up": 0.1}
    sizes = [1000, 500, 500, 2000, 4000, 1500, 500]
    begins = np.cumsum([0, *sizes[:-1]])
    middles = (begins + np.array(sizes) / 2) / TOTAL
    expected = [0.5 * slow_rate(p, Training(**training)) for p in middles]
    assert walk(*optimizer_with_schedule(**training), sizes) == pytest.approx(expected, rel=1e-6)


def test_small_and_large_batches_have_the_same_sum_of_rates():
    training = {"learning_rate": 0.5, "schedule": "one_cycle"}
    sums = [
        size * sum(walk(*optimizer_with_schedule(**training), [size] * (TOTAL // size)))
        for size in (50, 200, 1000)
    ]
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-2)


def test_a_plateau_lowers_the_rest_of_a_schedule():
    training = {"learning_rate": 0.5, "schedule": "cosine"}
    optimizer, schedule = optimizer_with_schedule(**training)
    walk(optimizer, schedule, [5000])
    schedule.scale(0.1)
    (after,) = walk(optimizer, schedule, [1000])
    assert after == pytest.approx(0.05 * slow_rate(0.55, Training(**training)), rel=1e-6)


def test_the_momentum_dips_where_the_learning_rate_peaks():
    optimizer, schedule = optimizer_with_schedule(
        optimizer="sgd", momentum=0.95, schedule="one_cycle", peak_at=0.4, momentum_dip=0.1
    )
    found = []
    for size in (1, 3998, 2, 5998, 1):
        walk(optimizer, schedule, [size])
        found.append(float(optimizer.changing_momentum))
    assert found == pytest.approx([0.95, 0.9, 0.85, 0.9, 0.95], abs=1e-3)


def test_a_dipped_momentum_is_the_one_that_steps_are_made_with():
    optimizer, _ = optimizer_with_schedule(
        optimizer="sgd", momentum=0.9, schedule="one_cycle", momentum_dip=0.5, nesterov=False
    )
    (weight,) = optimizer._trainable_variables
    optimizer.learning_rate = 0.1
    gradient = tf.ones(2)
    optimizer.apply([gradient])
    optimizer.changing_momentum.assign(0.4)
    optimizer.apply([gradient])
    first, second = -0.1, 0.4 * -0.1 - 0.1
    np.testing.assert_allclose(weight.numpy(), 1 + first + second, rtol=1e-6)


@pytest.mark.parametrize(
    "training", [{"optimizer": "adam", "momentum_dip": 0.1}, {"optimizer": "sgd"}]
)
def test_the_momentum_is_constant_without_a_dip(training):
    optimizer, _ = optimizer_with_schedule(schedule="one_cycle", **training)
    assert getattr(optimizer, "changing_momentum", None) is None
