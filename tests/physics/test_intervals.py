import math

import numpy as np
import pytest
from scipy.stats import t

from tauopt.physics.intervals import ONE_SIGMA, clopper_pearson, student_factor


def at_least(k, n, p):
    """Probability of k or more of n; slow and obvious."""
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


@pytest.mark.parametrize(("passed", "total"), [(1, 3), (7, 20), (19, 20), (50, 100)])
def test_at_the_ends_of_the_interval_the_observation_has_the_tail_probability(passed, total):
    low, high = clopper_pearson(passed, total)
    tail = (1 - ONE_SIGMA) / 2
    assert at_least(passed, total, float(low)) == pytest.approx(tail)
    assert 1 - at_least(passed + 1, total, float(high)) == pytest.approx(tail)


def test_intervals_of_none_all_and_an_empty_sample():
    low, high = clopper_pearson([0, 5, 0], [5, 5, 0])
    tail = (1 - ONE_SIGMA) / 2
    assert low.tolist() == [0, pytest.approx(tail ** (1 / 5)), 0]
    assert high.tolist() == [pytest.approx(1 - tail ** (1 / 5)), 1, 1]


def test_the_interval_covers_the_truth_at_least_as_often_as_it_says():
    passed = np.random.default_rng(1).binomial(30, 0.83, 20_000)
    low, high = clopper_pearson(passed, 30)
    assert np.mean((low <= 0.83) & (high >= 0.83)) > ONE_SIGMA - 0.01


@pytest.mark.parametrize("freedom", [1, 2, 10, 1000])
def test_a_deviation_times_students_factor_covers_68_percent(freedom):
    assert t.interval(ONE_SIGMA, freedom)[1] == pytest.approx(student_factor(freedom))
