import numpy as np
import pytest

from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.calibration_figure import (
    as_trained,
    calibration,
    calibration_figure,
)
from tauopt.metrics.scored_trial import ScoredTrial, from_stored_score
from tests.metrics.toys import several_classes


def drawn(rng, *, power=1.0, negative=0.0, size=20_000):
    """Probabilities and outcomes; a power above one makes an overconfident network."""
    truth = rng.random(size)
    odds = (truth / (1 - truth)) ** power
    weights = np.where(rng.random(size) < negative, -1.0, 1.0)
    return odds / (1 + odds), rng.random(size) < truth, weights


@pytest.mark.parametrize("negative", [0.0, 0.1])
def test_true_probabilities_come_true(negative):
    rng = np.random.default_rng(1)
    curve = calibration(*drawn(rng, negative=negative), rng=rng)
    assert curve.error.value < 0.012
    for probability, fraction in zip(curve.probabilities, curve.fractions, strict=True):
        assert fraction.low - 0.03 < probability < fraction.high + 0.03
    assert curve.shares.sum() == pytest.approx(1.0)


def test_the_error_is_the_mean_gap_between_probability_and_fraction():
    rng = np.random.default_rng(2)
    probability, is_true, weights = drawn(rng, power=2.5, negative=0.05)
    curve = calibration(probability, is_true, weights, rng=rng)
    slow = 0.0
    for low in np.arange(15) / 15:
        inside = (probability >= low) & (probability < low + 1 / 15)
        total = weights[inside].sum()
        gap = (weights * (is_true - probability))[inside].sum() / total
        slow += total / weights.sum() * abs(gap)
    assert curve.error.value == pytest.approx(slow, abs=1e-3)
    assert curve.error.value > 0.1
    assert curve.error.low > 0.09


def test_the_error_of_the_calibration_error_is_its_spread_over_many_samples():
    rng = np.random.default_rng(3)
    errors = [calibration(*drawn(rng, power=2.0, size=2000), rng=rng).error for _ in range(60)]
    stated = np.mean([(error.high - error.low) / 2 for error in errors])
    assert stated == pytest.approx(np.std([error.value for error in errors]), rel=0.35)


def test_weights_are_in_the_proportions_of_training():
    predictions = several_classes(np.random.default_rng(1))
    factors = dict(zip(predictions.classes, (0.1, 1.0, 2.0, 3.0), strict=True))
    reweighted = as_trained(ScoredTrial("trial", predictions, factors=factors))
    assert reweighted.weights == pytest.approx(
        predictions.weights * np.array([0.1, 1, 2, 3])[predictions.labels]
    )


def test_stored_scores_are_not_taken_for_probabilities():
    predictions = several_classes(np.random.default_rng(1))
    trials = [
        ScoredTrial("trial", predictions),
        from_stored_score("stored", predictions.score, predictions),
    ]
    rng = np.random.default_rng(1)
    _, points = calibration_figure(trials, sample=SampleLabel("demo"), rng=rng)
    assert set(points["curves"]) == {"trial: signal", "trial: class"}
