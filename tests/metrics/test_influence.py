"""Influence functions against resampling, plain derivatives and repeated samples."""

import numpy as np
import pytest

from tauopt.config.settings.objective import parse_objective
from tauopt.metrics.bootstrap import paired_bootstrap
from tauopt.metrics.influence import (
    PairedValue,
    grouped,
    influence,
    natural_scale,
    paired_value,
)
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tests.metrics.toys import gaussians, several_classes

METRICS = (
    "rejection@0.75",
    "rejection@[0.6, 0.9]",
    "rejection@[0.6, 0.9]/3p",
    "auc",
    "auc@[0.5, 0.8]",
    "accuracy",
    "balanced_accuracy/1p",
    "neg_log_loss",
    "neg_log_loss/3p",
)


def reweighted(predictions, weights):
    return Predictions(
        predictions.probabilities,
        predictions.labels,
        weights,
        classes=predictions.classes,
        signal=predictions.signal,
        columns=predictions.columns,
    )


def value(objective, predictions):
    return natural_scale(objective, measure(objective, predictions).value)


@pytest.mark.parametrize("name", METRICS)
def test_influence_predicts_what_more_weight_on_some_candidates_changes(name):
    rng = np.random.default_rng(1)
    predictions, objective = several_classes(rng, candidates=20_000), parse_objective(name)
    change = 0.2 * rng.choice([-1, 1], len(predictions)) * (rng.random(len(predictions)) < 0.3)
    heavier = reweighted(predictions, predictions.weights * (1 + change))
    predicted = np.sum(influence(objective, predictions) * change)
    actual = value(objective, heavier) - value(objective, predictions)
    error = np.sqrt(np.sum((influence(objective, predictions) * change) ** 2))
    # What is left is of second order, and the local slope of the curve at a single efficiency.
    assert abs(predicted - actual) < (0.8 if objective.at == 0.75 else 0.3) * error


@pytest.mark.parametrize("name", METRICS)
def test_error_is_that_of_a_bootstrap(name):
    rng = np.random.default_rng(2)
    predictions, objective = several_classes(rng, candidates=4000), parse_objective(name)
    replicas = [
        value(
            objective,
            reweighted(predictions, predictions.weights * rng.poisson(1.0, len(predictions))),
        )
        for _ in range(150)
    ]
    error = np.linalg.norm(influence(objective, predictions))
    assert error == pytest.approx(np.std(replicas), rel=0.25)


def test_interval_of_a_band_holds_the_truth_as_often_as_it_says():
    objective = parse_objective("rejection@[0.6, 0.9]")
    truth = measure(
        objective, gaussians(np.random.default_rng(0), signal=400_000, background=400_000)
    )
    inside = 0
    for seed in range(200):
        estimate = measure(objective, gaussians(np.random.default_rng(seed + 1)))
        inside += estimate.low <= truth.value <= estimate.high
    assert 0.58 < inside / 200 < 0.78


def test_a_band_is_the_geometric_mean_of_its_rejections():
    predictions = gaussians(np.random.default_rng(4))
    band = measure(parse_objective("rejection@[0.6, 0.9]"), predictions).value
    points = [
        measure(parse_objective(f"rejection@{at:.9f}"), predictions).value
        for at in 0.6 + 0.3 * (np.arange(64) + 0.5) / 64
    ]
    assert band == pytest.approx(np.exp(np.mean(np.log(points))), rel=1e-6)


def test_a_band_without_background_is_a_limit():
    labels = np.repeat([1, 0], [100, 50])
    p = np.where(labels == 1, 0.9, 0.1)
    perfect = Predictions(
        np.stack([1 - p, p], axis=1), labels, np.ones(150), classes=("jet", "tau"), signal=("tau",)
    )
    estimate = measure(parse_objective("rejection@[0.6, 0.9]"), perfect)
    assert estimate.limit
    assert estimate.value == pytest.approx(51)


def similar_networks(rng, *, noise=0.2, candidates=20_000):
    """Return two networks whose logits differ by a little noise."""
    a = gaussians(rng, signal=candidates, background=candidates, separation=2.5)
    odds = a.probabilities[:, 1] / a.probabilities[:, 0] * np.exp(noise * rng.normal(size=len(a)))
    p = odds / (1 + odds)
    return a, Predictions(
        np.stack([1 - p, p], axis=1), a.labels, a.weights, classes=a.classes, signal=a.signal
    )


def test_groups_keep_the_error_and_that_of_a_paired_difference():
    objective = parse_objective("rejection@[0.6, 0.9]")
    a, b = (
        influence(objective, predictions)
        for predictions in similar_networks(np.random.default_rng(5))
    )
    paired = np.linalg.norm(grouped(a) - grouped(b))
    assert np.linalg.norm(grouped(a)) == pytest.approx(np.linalg.norm(a), rel=0.15)
    assert paired == pytest.approx(np.linalg.norm(a - b), rel=0.15)
    assert paired < 0.5 * np.linalg.norm(a)  # two networks share most of the noise


def test_between_two_networks_a_band_fluctuates_less_than_one_efficiency():
    networks = similar_networks(np.random.default_rng(6))
    band, single = (
        np.linalg.norm(np.subtract(*(influence(parse_objective(name), each) for each in networks)))
        for name in ("rejection@[0.6, 0.9]", "rejection@0.75")
    )
    assert band < 0.75 * single


def test_a_paired_value_is_read_back_from_its_text():
    value = PairedValue(1.25, grouped(np.random.default_rng(7).normal(size=5000) * 1e-6))
    read = PairedValue.parse(str(value))
    assert read.value == value.value
    assert read.error == pytest.approx(value.error, rel=1e-3)
    assert read.ahead_of(value)[1] < 2e-3 * value.error
    assert len(str(value)) < 720


def test_a_paired_value_knows_which_of_two_networks_is_ahead_and_how_surely():
    objective = parse_objective("rejection@[0.6, 0.9]")
    a, b = similar_networks(np.random.default_rng(8), noise=1.0)
    difference, error = paired_value(objective, a).ahead_of(paired_value(objective, b))
    expected = paired_bootstrap(objective, a, b, rng=np.random.default_rng(9), replicas=200)
    assert difference > 5 * error > 0
    value = measure(objective, a).value
    assert error == pytest.approx((expected.high - expected.low) / 2 / value, rel=0.35)


def test_a_limit_is_tied_with_another_and_not_surely_ahead_of_what_is_measured():
    labels = np.repeat([1, 0], [100, 400])
    objective = parse_objective("rejection@[0.6, 0.9]")

    def network(passing):
        p = np.where(labels == 1, 0.9, 0.1)
        p[100 : 100 + passing] = 0.95
        return Predictions(
            np.stack([1 - p, p], axis=1), labels, np.ones(500),
            classes=("jet", "tau"), signal=("tau",),
        )  # fmt: skip

    none, two = (paired_value(objective, network(passing)) for passing in (0, 2))
    assert none.ahead_of(none) == (0.0, 0.0)
    difference, error = none.ahead_of(two)
    assert 0 < difference < 2 * error
