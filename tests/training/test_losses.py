from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from tauopt.config.settings.experiment import Training
from tauopt.training.losses import keras_loss, mean_loss

SETTINGS = [
    Training(),
    Training(loss="focal", focal_gamma=2.0),
    Training(loss="focal", focal_gamma=0.5),
    Training(label_smoothing=0.1),
    Training(loss="focal", focal_gamma=2.0, label_smoothing=0.5),
]


@pytest.mark.parametrize("training", SETTINGS)
def test_the_loss_in_numpy_is_that_of_keras(training):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 200).astype(np.float32)
    p[:3] = np.eye(4, dtype=np.float32)[:3]
    labels = rng.integers(0, 4, 200)
    weights = rng.uniform(0, 2, 200)
    each = keras_loss(training)
    each.reduction = None
    expected = np.asarray(each(np.eye(4, dtype=np.float32)[labels], p))
    expected = np.sum(expected * weights) / weights.sum()
    assert mean_loss(p, labels, weights, training=training) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("training", SETTINGS)
def test_the_gradient_that_is_trained_on_is_that_of_the_loss_in_numpy(training):
    """Central differences of `mean_loss`, in logits, so that probabilities add up to one."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (12, 4)), rng.integers(0, 4, 12)
    weights = rng.uniform(0.2, 2, 12)

    def loss(z):
        return mean_loss(softmax(z, axis=1), labels, weights, training=training)

    expected = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-5
        expected[place] = (loss(logits + step) - loss(logits - step)) / 2e-5
    z = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = keras_loss(training)(tf.one_hot(labels, 4), tf.nn.softmax(z), sample_weight=weights)
    found = tape.gradient(value, z) * (len(labels) / weights.sum())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_focal_loss_without_gamma_is_crossentropy():
    p, labels = np.array([[0.2, 0.8], [0.6, 0.4]], np.float32), np.array([1, 1])
    plain, focal = (
        mean_loss(p, labels, np.ones(2), training=Training(loss=loss, focal_gamma=0.0))
        for loss in ("crossentropy", "focal")
    )
    assert focal == pytest.approx(plain)


def test_the_loss_of_a_certain_wrong_answer_is_finite():
    p = np.array([[1.0, 0.0]], np.float32)
    assert mean_loss(p, np.array([1]), np.ones(1), training=Training()) == pytest.approx(
        -np.log(1e-7)
    )


def test_smoothed_labels_are_spread_over_all_classes():
    p = np.array([[0.7, 0.2, 0.1]], np.float32)
    smoothed = mean_loss(p, np.array([0]), np.ones(1), training=Training(label_smoothing=0.3))
    assert smoothed == pytest.approx(-np.dot([0.8, 0.1, 0.1], np.log([0.7, 0.2, 0.1])), rel=1e-6)


def test_focal_loss_reduces_the_loss_of_well_classified_candidates():
    """Lin et al., equation 4, for a true class of probability 0.9."""
    p = np.array([[0.9, 0.1]], np.float32)
    focal = Training(loss="focal", focal_gamma=2.0)
    found = mean_loss(p, np.array([0]), np.ones(1), training=focal)
    assert found == pytest.approx(-(0.1**2) * np.log(0.9), rel=1e-5)
