"""Ranges that the best trials hit at an end are named where that is no accident."""

import math
from itertools import pairwise

import numpy as np
import pytest

from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange
from tauopt.report.range_edges import _at_least, _part_at_end, range_edges
from tauopt.study.suggest import random_point
from tests.cli.test_leaderboard_table import row

LENGTH, RATE = "model.groups.tracks.length", "training.learning_rate"
SPACE = {
    LENGTH: IntRange(4, 10),
    RATE: FloatRange(1e-4, 1e-2, log=True),
    "model.dropout": FloatRange(0.0, 0.3),
    "model.cell": ChoiceRange(("lstm", "gru")),
}


def board(**columns):
    """Rows of trials, best first, with these values of each parameter."""
    count = len(next(iter(columns.values())))
    return [
        row(n, rank=n + 1, front=1, **{path: values[n] for path, values in columns.items()})
        for n in range(count)
    ]


def texts(rows, space=SPACE):
    return [str(edge) for edge in range_edges(rows, space)]


def test_an_upper_end_that_three_of_the_best_five_have_is_named():
    rows = board(**{LENGTH: [10, 9, 10, 10, 5, 4, 4, 4]})
    assert texts(rows) == [f"3 of the best 5 trials have {LENGTH} at its upper end 10: widen it"]


def test_ends_of_log_scaled_ranges_are_log_scaled():
    rows = board(**{RATE: [1.1e-4, 1.2e-4, 1.2e-4, 5e-3, 1e-4]})
    assert texts(rows) == [f"4 of the best 5 trials have {RATE} at its lower end 0.0001: widen it"]
    assert not texts(rows, {RATE: FloatRange(1e-5, 1e-2, log=True)})


def test_the_edge_of_most_trials_comes_first():
    rows = board(**{LENGTH: [10, 10, 10, 5, 6], RATE: [1e-2] * 5})
    assert [edge.path for edge in range_edges(rows, SPACE)] == [RATE, LENGTH]


def test_ends_at_which_the_setting_itself_ends_are_left_out():
    space = {"a": FloatRange(0.0, 0.3), "b": IntRange(1, 9), "c": FloatRange(0.2, 1.0)}
    rows = board(a=[0.0] * 5, b=[1] * 5, c=[1.0] * 5)
    assert not texts(rows, space)


def test_what_random_points_do_too_is_no_edge():
    two, many = IntRange(4, 5), IntRange(4, 9)
    values = [5, 5, 5, 5, 4]
    assert not texts(board(x=values), {"x": two})
    assert not texts(board(x=[5] * 4), {"x": two})
    assert texts(board(x=[5] * 5), {"x": two})
    assert texts(board(x=[9, 9, 9, 9, 4]), {"x": many})


def test_trials_that_did_not_complete_or_lack_the_parameter_do_not_count():
    rows = board(**{LENGTH: [10, 10, 10]})
    pruned = [row(9, state="PRUNED", **{LENGTH: 10})] * 3
    assert len(texts([*rows, *pruned])) == 1
    assert not texts([*rows[:2], *pruned])
    without = [row(7, rank=1, front=1)] * 3
    assert not texts([*without, *rows])  # of the best five, two have it
    assert not texts([])


@pytest.mark.parametrize("end", ["lower", "upper"])
@pytest.mark.parametrize(
    "range_",
    [IntRange(4, 10), IntRange(8, 24, log=True), FloatRange(0.1, 0.9, step=0.2)],
)
def test_the_part_at_an_end_is_that_of_random_points(range_, end):
    rng = np.random.default_rng(1)
    limit = range_.low if end == "lower" else range_.high
    drawn = [random_point({"x": range_}, rng)["x"] for _ in range(20_000)]
    part = np.mean([math.isclose(value, limit) for value in drawn])
    # The end of a log-scaled range is drawn from half a step of it.
    assert part <= _part_at_end(range_, end) + 0.01


def test_the_binomial_probability_is_that_of_simulated_trials():
    drawn = np.random.default_rng(2).binomial(5, 0.2, size=100_000)
    for count in range(6):
        assert _at_least(count, 5, 0.2) == pytest.approx(np.mean(drawn >= count), abs=0.01)
    assert all(a > b for a, b in pairwise(_at_least(count, 5, 0.2) for count in range(6)))
