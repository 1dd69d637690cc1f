from __future__ import annotations

import numpy as np
import pytest

from tauopt.config.experiment import Training
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


def test_focal_loss_without_gamma_is_crossentropy():
    p, labels = np.array([[0.2, 0.8], [0.6, 0.4]], np.float32), np.array([1, 1])
    plain, focal = (
        mean_loss(p, labels, np.ones(2), training=Training(loss=loss, focal_gamma=0.0))
        for loss in ("crossentropy", "focal")
    )
    assert focal == pytest.approx(plain)


def test_certain_and_wrong_is_finite():
    p = np.array([[1.0, 0.0]], np.float32)
    assert mean_loss(p, np.array([1]), np.ones(1), training=Training()) == pytest.approx(
        -np.log(1e-7)
    )


def test_smoothed_labels_are_spread_over_all_classes():
    p = np.array([[0.7, 0.2, 0.1]], np.float32)
    smoothed = mean_loss(p, np.array([0]), np.ones(1), training=Training(label_smoothing=0.3))
    assert smoothed == pytest.approx(-np.dot([0.8, 0.1, 0.1], np.log([0.7, 0.2, 0.1])), rel=1e-6)


def test_focal_loss_lessens_what_is_told_apart():
    """Lin et al., equation 4, for a true class of probability 0.9."""
    p = np.array([[0.9, 0.1]], np.float32)
    focal = Training(loss="focal", focal_gamma=2.0)
    found = mean_loss(p, np.array([0]), np.ones(1), training=focal)
    assert found == pytest.approx(-(0.1**2) * np.log(0.9), rel=1e-5)
