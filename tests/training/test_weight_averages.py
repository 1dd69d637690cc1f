from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.training.train_step import Averages


def slow_average(weights, momentum):
    """Return the average after each step; `weights` are those before training, then after each."""
    average, averages = weights[0], []
    for steps, weight in enumerate(weights[1:]):
        kept = min(momentum, (1 + steps) / (10 + steps))
        average = kept * average + (1 - kept) * weight
        averages.append(average)
    return averages


@pytest.mark.parametrize("momentum", [0.3, 0.9, 0.9999])
def test_an_average_is_that_of_the_recursion(momentum):
    weights = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    variable = keras.Variable(weights[0])
    averages = Averages([variable], momentum=momentum)
    update = tf.function(averages.update)
    for steps, expected in enumerate(slow_average(weights.astype(np.float64), momentum)):
        variable.assign(weights[steps + 1])
        update(tf.constant(steps))
        np.testing.assert_allclose(averages.variables[0].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.3, 0.99])
def test_an_average_is_that_of_tensorflow(momentum):
    weights = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    ours, theirs, steps = keras.Variable(weights[0]), tf.Variable(weights[0]), tf.Variable(0)
    averages = Averages([ours], momentum=momentum)
    moving = tf.train.ExponentialMovingAverage(momentum, num_updates=steps)
    moving.apply([theirs])  # begins with the weight as it is
    for number, weight in enumerate(weights[1:]):
        ours.assign(weight)
        theirs.assign(weight)
        steps.assign(number)
        averages.update(tf.constant(number))
        moving.apply([theirs])
        found, expected = averages.variables[0], moving.average(theirs)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_averaging_leaves_the_weights():
    variable = keras.Variable(np.ones(3, np.float32))
    averages = Averages([variable], momentum=0.9)
    variable.assign(np.full(3, 2, np.float32))
    averages.update(0)
    np.testing.assert_array_equal(variable.numpy(), 2)


def test_seeds_are_not_averaged_and_moving_statistics_are():
    x = keras.Input((2,))
    y = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Dense(2)(x)))
    model = keras.Model(x, y)
    averages = Averages(model.variables, momentum=0.9)
    judged = averages.in_place_of(model.variables)
    names = [v.name for v, j in zip(model.variables, judged, strict=True) if j is not v]
    assert names == ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]
    assert [j.shape for j in judged] == [v.shape for v in model.variables]
