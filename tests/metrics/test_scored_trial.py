"""Working points of a trial and of its reference."""

import numpy as np
import pytest

from tauopt.metrics.score_cuts import ProngCuts, derive_prong_cuts, measured_efficiencies
from tauopt.metrics.scored_trial import ScoredTrial, apply_working_points, from_stored_score
from tests.metrics.toys import gaussians, several_classes


def test_prong_cuts_have_the_standard_efficiencies_for_each_number_of_prongs():
    rng = np.random.default_rng(1)
    predictions = gaussians(
        rng, weights=rng.exponential(size=4000), prongs=rng.choice([1, 3], 4000)
    )
    efficiencies = measured_efficiencies(derive_prong_cuts(predictions), predictions)
    for prongs in (1, 3):
        assert list(efficiencies[prongs].values()) == pytest.approx(
            [0.6, 0.75, 0.85, 0.95], abs=0.01
        )


def test_cuts_of_other_prongs_and_without_prongs_are_those_of_all():
    points = ProngCuts(("60 %",), {0: (0.5,), 1: (0.9,)})
    score = np.array([0.7, 0.7])
    assert points.passes(score, {"prongs": np.array([1, 2])})["60 %"].tolist() == [False, True]
    assert points.passes(score, {})["60 %"].tolist() == [True, True]


def test_a_reference_is_cut_at_the_signal_efficiency_of_the_trials_own_points():
    predictions = several_classes(np.random.default_rng(2), negative=0.1)
    other = from_stored_score("stored", np.random.default_rng(3).normal(size=3000), predictions)
    points = ProngCuts(("loose", "tight"), {0: (0.3, 0.9), 1: (0.2, 0.8)})
    first, second = apply_working_points([ScoredTrial("trial", predictions), other], points)
    for prongs in (1, 3):
        signal = predictions.is_signal & (predictions.columns["prongs"] == prongs)
        for name in points.names:
            of_trial, of_reference = (
                contender.predictions.weights[signal & contender.passes[name]].sum()
                for contender in (first, second)
            )
            assert of_reference == pytest.approx(of_trial, abs=5.0)


def test_a_stored_score_of_any_scale_keeps_the_order_of_candidates():
    predictions = several_classes(np.random.default_rng(2))
    score = np.random.default_rng(3).normal(size=3000) * 50 - 999
    stored = from_stored_score("stored", score, predictions).predictions
    assert stored.score == pytest.approx(score, rel=1e-6)
    assert (stored.is_signal == predictions.is_signal).all()
