"""Efficiencies in bins: against loops, and their errors against a bootstrap of candidates."""

import numpy as np
import pytest

from tauopt.metrics.binned_counts import (
    background_rejection,
    binned_efficiencies,
    binned_rejections,
    count_by_bin,
)
from tauopt.metrics.estimate import Estimate
from tauopt.physics.intervals import clopper_pearson

BINS = 4


@pytest.fixture(params=[0.0, 0.15], ids=["positive", "some negative"])
def candidates(request):
    rng = np.random.default_rng(3)
    score, index = rng.random(4000), rng.integers(0, BINS, 4000)
    sign = np.where(rng.random(4000) < request.param, -1.0, 1.0)
    passes = np.stack([score > 0.7, score > 0.3, rng.random(4000) > 0.5], axis=1)
    return passes, rng.exponential(size=4000) * sign, index


def slow_fractions(passes, weights, index):
    fractions = np.empty((BINS, passes.shape[1]))
    for b in range(BINS):
        for k in range(passes.shape[1]):
            inside = [i for i in range(len(weights)) if index[i] == b]
            fractions[b, k] = sum(weights[i] for i in inside if passes[i, k]) / sum(weights[inside])
    return fractions


def test_fractions_are_sums_of_weights_over_sums_of_weights(candidates):
    passes, weights, index = candidates
    binned = count_by_bin(passes, weights, index=index, bins=BINS)
    assert binned.fractions(binned.signed) == pytest.approx(slow_fractions(*candidates))
    assert binned.counts.sum(axis=1).tolist() == np.bincount(index).tolist()


def test_replicas_scatter_as_those_of_a_bootstrap_of_candidates(candidates):
    passes, weights, index = candidates
    binned, rng = count_by_bin(passes, weights, index=index, bins=BINS), np.random.default_rng(4)
    quick = binned.fractions(binned.resampled(rng, 1500))
    slow = []
    for _ in range(1500):
        resampled = count_by_bin(
            passes, weights * rng.poisson(1.0, len(weights)), index=index, bins=BINS
        )
        slow.append(resampled.fractions(resampled.signed))
    slow = np.array(slow)
    assert quick.mean(axis=0) == pytest.approx(slow.mean(axis=0), abs=0.01)
    assert quick.std(axis=0) == pytest.approx(slow.std(axis=0), rel=0.12)
    shared = [np.corrcoef(replicas[:, 0, 0], replicas[:, 0, 1])[0, 1] for replicas in (quick, slow)]
    assert shared[0] == pytest.approx(shared[1], abs=0.08)


def test_weighted_intervals_cover_the_truth_in_68_per_cent_of_samples():
    rng, covered = np.random.default_rng(5), 0
    for _ in range(300):
        weights = rng.exponential(size=300) * np.where(rng.random(300) < 0.1, -1, 1)
        passes = (rng.random(300) < 0.8)[:, None]
        ((efficiency,),) = binned_efficiencies(count_by_bin(passes, weights), rng=rng)
        covered += efficiency.low <= 0.8 <= efficiency.high
    assert 0.60 < covered / 300 < 0.76


def test_equal_weights_are_counted_exactly():
    passes = np.array([True] * 7 + [False] * 13)[:, None]
    ((efficiency,),) = binned_efficiencies(
        count_by_bin(passes, np.full(20, 0.3)), rng=np.random.default_rng(1)
    )
    low, high = clopper_pearson(7, 20)
    assert efficiency.triple == pytest.approx([0.35, float(low), float(high)])


def test_an_empty_bin_has_no_efficiency_and_one_where_none_pass_an_upper_end():
    passes, weights = np.zeros((50, 1), bool), np.linspace(0.5, 1.5, 50)
    binned = count_by_bin(passes, weights, index=np.zeros(50, int), bins=2)
    (none_pass,), (empty,) = binned_efficiencies(binned, rng=np.random.default_rng(1))
    assert empty is None
    assert none_pass.value == none_pass.low == 0
    assert 0 < none_pass.high < 0.05


def test_a_bin_of_more_negative_than_positive_weight_has_no_efficiency():
    binned = count_by_bin(np.array([[True], [False]]), np.array([1.0, -2.0]))
    assert binned_efficiencies(binned, rng=np.random.default_rng(1)) == [[None]]


def test_the_rejection_is_a_lower_limit_where_nothing_passes():
    assert background_rejection(Estimate(0.0, 0.0, 0.02)) == Estimate(50.0, 50.0, 50.0, limit=True)
    assert background_rejection(Estimate(0.1, 0.08, 0.125)).triple == pytest.approx([10, 8, 12.5])
    assert background_rejection(None) is None


def test_one_tiny_weight_that_passes_gives_a_lower_limit_too():
    passes, weights = np.arange(101)[:, None] == 100, np.append(np.full(100, 1.0), 1e-4)
    ((rejection,),) = binned_rejections(count_by_bin(passes, weights), rng=np.random.default_rng(1))
    assert rejection.limit
    assert rejection.value == pytest.approx(101, rel=0.02)
