"""Means over seeds, held against a simulated truth: seeds and samples drawn again and again."""

import numpy as np
import pytest
from scipy.stats import t

from tauopt.metrics.influence import PairedValue
from tauopt.metrics.seed_means import seed_means

POINTS, SEEDS, GROUPS = 5, 3, 256
OF_SEED, SHARED, OWN = 0.05, 0.08, 0.03
"""Standard deviations from seed to seed, and from sample to sample: shared by all networks, and of
each network by itself."""


def simulated(rng, truth, *, seeds=SEEDS, shared=SHARED):
    """The values of trainings of points with that truth, and what each training is without noise.

    Groups of candidates fluctuate from sample to sample, the same for all networks.
    """
    fluctuations = rng.normal(size=GROUPS)
    shared = rng.normal(size=GROUPS) * shared / GROUPS**0.5
    values = []
    for each in truth:
        values.append([])
        for _ in range(seeds):
            influence = shared + rng.normal(size=GROUPS) * OWN / GROUPS**0.5
            value = each + OF_SEED * rng.normal() + influence @ fluctuations
            values[-1].append(PairedValue(value, influence.astype(np.float32)))
    return values


def test_the_stated_errors_cover_the_truth_and_the_true_differences_in_68_percent():
    rng, pulls, differences = np.random.default_rng(1), [], []
    for _ in range(1000):  # what all points share makes their means one draw
        truth = rng.normal(size=POINTS)
        means = seed_means(simulated(rng, truth))
        pulls.append((means[0].value - truth[0]) / means[0].error)
        ahead, error = means[0].ahead_of(means[1])
        differences.append((ahead - (truth[0] - truth[1])) / error)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)
    assert np.mean(np.abs(pulls) < 1) == pytest.approx(0.683, abs=0.05)
    assert np.std(differences) == pytest.approx(1.0, abs=0.15)  # wider tails, as of Student
    assert np.mean(np.abs(differences) < 1) == pytest.approx(0.683, abs=0.05)


@pytest.mark.parametrize(("points", "seeds"), [(1, 2), (1, 3), (2, 3)])
def test_errors_that_few_trainings_tell_cover_the_truth_no_less(points, seeds):
    rng, pulls = np.random.default_rng(5), []
    for _ in range(1500):
        means = seed_means(simulated(rng, [0.0] * points, seeds=seeds, shared=0.02))
        pulls.append(means[0].value / means[0].error)
    assert 0.66 < np.mean(np.abs(pulls) < 1) < 0.78  # without Student's factor 0.5 to 0.63


def test_what_all_networks_share_cancels_in_differences_and_what_seeds_add_does_not():
    rng = np.random.default_rng(2)
    one, other = seed_means(simulated(rng, [0.0, 0.0]))
    _, error = one.ahead_of(other)
    assert error < np.hypot(one.error, other.error)
    assert error > np.hypot(one.seed_error, other.seed_error)
    assert one.seed_error == other.seed_error


def test_a_choice_by_means_over_seeds_is_better_than_by_the_first_value_and_tells_what_is_true():
    rng, found, excess = np.random.default_rng(3), {"first": [], "mean": []}, []
    for _ in range(400):
        truth = 0.05 * rng.normal(size=20)
        first = [point[0].value for point in simulated(rng, truth, seeds=1)]
        best = np.argsort(first)[::-1][:POINTS]
        means = seed_means(simulated(rng, truth[best]))
        chosen = max(range(POINTS), key=lambda index: means[index].value)
        found["first"].append(truth[best[0]])
        found["mean"].append(truth[best[chosen]])
        excess.append((first[best[0]] - truth[best[0]], means[chosen].value - truth[best[chosen]]))
    error_of_mean = np.std(np.subtract(found["mean"], found["first"])) / 400**0.5
    assert np.mean(found["mean"]) > np.mean(found["first"]) + 2 * error_of_mean
    too_large_before, too_large_after = np.mean(excess, axis=0)
    assert too_large_before > 0.05
    assert too_large_after < 0.4 * too_large_before


def test_the_deviation_of_seeds_is_told_by_all_points_and_unknown_without_repetition():
    exact = np.zeros(4, np.float32)
    values = [[PairedValue(v, exact) for v in point] for point in ([1.0, 3.0], [5.0, 5.0, 5.0])]
    two, three = seed_means(values)
    deviation = t.ppf(0.841344746, 3) * (2.0 / 3) ** 0.5  # squares 1 + 1, three of freedom
    assert two.seed_error == pytest.approx(deviation / 2**0.5)
    assert three.seed_error == pytest.approx(deviation / 3**0.5)
    assert (two.value, three.value) == (2.0, 5.0)
    assert seed_means([[PairedValue(1.0, exact)]])[0].error == 0.0
