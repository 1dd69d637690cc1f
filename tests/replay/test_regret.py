import numpy as np
import pytest

from tauopt.metrics.influence import PairedValue
from tauopt.replay.choose import Complete
from tauopt.replay.play import Choice
from tauopt.replay.regret import interquartile_mean, regret_course


def search(*steps):
    """A search from (candidates, true value) of its choices; each is told 0.1 too large."""
    error = np.full(4, 0.1, np.float32)  # an error of 0.2
    return [
        Choice(spent, index, Complete(0, 0, PairedValue(value + 0.1, error), 0.5, value, value))
        for index, (spent, value) in enumerate(steps)
    ]


def test_the_interquartile_mean_leaves_out_both_quarters():
    assert interquartile_mean(np.array([9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0])) == 3.5


def test_regret_falls_when_better_choices_are_made_and_compute_is_told():
    course = regret_course([search((10, 0.9), (50, 0.98), (100, 1.0))] * 4, best=1.0)
    assert course.mean[np.searchsorted(course.candidates, 20)] == pytest.approx(0.1)
    assert course.mean[-1] == pytest.approx(0.0)
    assert course.within == pytest.approx((100.0, 50.0, 50.0))
    assert course.told_less_truth == pytest.approx(0.1)
    assert course.curse == pytest.approx(0.5)


def test_before_its_first_choice_a_search_has_no_value():
    course = regret_course([search((60, 1.0), (100, 1.0))] * 4, best=1.0)
    assert np.isinf(course.mean[course.candidates < 60]).all()


def test_what_is_never_reached_is_so():
    course = regret_course([search((10, 1.0), (100, 0.96))] * 4, best=1.0)
    assert course.within == (None, None, pytest.approx(10.0))
