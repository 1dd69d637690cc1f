"""Efficiency and rejection in bins, and how flat they are, against loops."""

from dataclasses import replace

import numpy as np
import pytest

from tauopt.figures.performance.flatness_figure import flatness
from tauopt.figures.performance.profile_figures import choose_axes
from tauopt.metrics.efficiency_profiles import profile
from tauopt.metrics.scored_trial import ScoredTrial, apply_working_points, from_stored_score
from tauopt.metrics.variable_axes import choose_axis
from tests.metrics.toys import gaussians, several_classes


@pytest.fixture(scope="module")
def contenders():
    predictions = several_classes(np.random.default_rng(1), negative=0.1)
    stored = from_stored_score("stored", predictions.score**2, predictions)
    return apply_working_points([ScoredTrial("trial", predictions), stored], None)


@pytest.fixture(scope="module")
def axis(contenders):
    predictions = contenders[0].predictions
    return choose_axis("pt", predictions.columns["pt"], among=predictions.is_signal)


def slow(trial, axis, name, bin_, *, signal):
    predictions = trial.predictions
    pt = predictions.columns["pt"]
    inside = [
        i
        for i in range(len(predictions))
        if predictions.is_signal[i] == signal and axis.index(pt[i : i + 1])[0] == bin_
    ]
    passed = sum(predictions.weights[i] for i in inside if trial.passes[name][i])
    return passed / sum(predictions.weights[i] for i in inside)


def test_each_bin_holds_the_weighted_fraction_that_passes(contenders, axis):
    efficiencies = profile(contenders, axis, "efficiency", rng=np.random.default_rng(1))
    rejections = profile(contenders, axis, "rejection", rng=np.random.default_rng(1))
    for trial in contenders:
        for name in ("60 %", "95 %"):
            for bin_ in range(axis.bins):
                efficiency = efficiencies.values[trial.name][name][bin_].value
                assert efficiency == pytest.approx(slow(trial, axis, name, bin_, signal=True))
                rejection = rejections.values[trial.name][name][bin_]
                background = slow(trial, axis, name, bin_, signal=False)
                assert rejection.limit or 1 / rejection.value == pytest.approx(background)


def test_the_same_decisions_have_ratio_one_without_an_error(contenders, axis):
    both = [contenders[0], replace(contenders[0], name="the same")]
    for kind in ("efficiency", "rejection"):
        measured = profile(both, axis, kind, rng=np.random.default_rng(1))
        for bins in measured.ratios.values():
            for ratio in bins:
                assert ratio is None or ratio.triple == [1, 1, 1]


def test_background_without_a_true_mode_is_in_no_bin_of_modes():
    predictions = several_classes(np.random.default_rng(1))
    columns = {"decay_mode": np.where(predictions.is_signal, predictions.labels - 1.0, -1.0)}
    trial = ScoredTrial(
        "trial", type(predictions)(predictions.probabilities, predictions.labels,
                                   predictions.weights, classes=predictions.classes,
                                   signal=predictions.signal, columns=columns)
    )  # fmt: skip
    (axis,) = choose_axes(trial, ["pt", "decay_mode"])
    (trial,) = apply_working_points([trial], None)
    assert profile([trial], axis, "rejection", rng=np.random.default_rng(1)).empty
    assert not profile([trial], axis, "efficiency", rng=np.random.default_rng(1)).empty


def flat_or_not(slope, rng):
    """Candidates whose score leans on mu, or not, with some negative weights."""
    mu = rng.uniform(10, 60, 8000)
    weights = np.where(rng.random(8000) < 0.1, -1.0, 1.0)
    plain = gaussians(rng, signal=4000, background=4000, weights=weights)
    score = np.log(plain.probabilities[:, 1] / plain.probabilities[:, 0]) - slope * (mu - 35)
    p = 1 / (1 + np.exp(-score))
    predictions = type(plain)(
        np.stack([1 - p, p], axis=1), plain.labels, weights,
        classes=plain.classes, signal=plain.signal, columns={"mu": mu},
    )  # fmt: skip
    (trial,) = apply_working_points([ScoredTrial("trial", predictions)], None)
    axis = choose_axis("mu", mu, among=predictions.is_signal)
    return flatness(trial, axis, rng=rng)


def test_a_flat_efficiency_is_found_flat_and_a_sloping_one_is_not():
    rng = np.random.default_rng(2)
    flat = [point for _ in range(30) for point in flat_or_not(0.0, rng).values()]
    assert 0.3 < np.mean([point.p_value for point in flat]) < 0.7
    sloping = flat_or_not(0.05, rng)["60 %"]
    assert sloping.p_value < 1e-6
    assert sloping.largest > 0.2
