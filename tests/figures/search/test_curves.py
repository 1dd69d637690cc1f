"""Best values and learning curves of a search, against slow references."""

import math

import numpy as np
import pytest

from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.search.best_value_figure import progress_figure
from tauopt.figures.search.learning_curves_figure import learning_figure
from tauopt.figures.search.trial_points import FATES, TrialPoint, best_of, best_so_far

SAMPLE = SampleLabel("demo", "validation split")
TEXT = "N = 7 signal, 8 background; physics weights"
OBJECTIVE = "rejection@0.75"


def random_trials(count=60, seed=1):
    rng = np.random.default_rng(seed)
    trials, spent = [], 0.0
    for number in range(count):
        fate = str(rng.choice(FATES, p=[0.3, 0.4, 0.1, 0.1, 0.1]))
        reports = {"complete": 6, "pruned": int(rng.integers(1, 5))}.get(fate, int(rng.integers(3)))
        values = np.round(np.sort(rng.uniform(5, 60, reports)), 1).tolist()
        value = max(values, default=None)
        is_whole = fate == "complete"
        spent += 0 if fate == "repeated" else float(rng.uniform(0.01, 0.1))
        trials.append(
            TrialPoint(
                number, fate, value=value,
                low=0.9 * value if is_whole else None, high=1.1 * value if is_whole else None,
                seen=[1e5 * (i + 1) for i in range(reports)], values=values,
                intervals=[(0.9 * v, 1.1 * v) for v in values],
                spent=spent if fate not in ("repeated", "unfinished") else None,
            )
        )  # fmt: skip
    return trials


def slow_best(trials):
    """The largest value of complete trials up to each trial, searched from the start each time."""
    values_so_far = []
    for end in range(1, len(trials) + 1):
        values = [t.value for t in trials[:end] if t.fate == "complete"]
        values_so_far.append(max(values) if values else None)
    return values_so_far


@pytest.mark.parametrize("seed", range(5))
def test_best_so_far_is_the_largest_complete_value_up_to_then(seed):
    trials = random_trials(seed=seed)
    values = [trials[i].value if i >= 0 else None for i in best_so_far(trials)]
    assert values == slow_best(trials)
    assert best_of(trials).value == slow_best(trials)[-1]


def test_the_first_of_equals_is_best():
    trials = [TrialPoint(n, "complete", value=5.0) for n in range(3)]
    assert best_so_far(trials) == [0, 0, 0]
    assert best_of(trials).number == 0


def progress(trials):
    return progress_figure(trials, objective=OBJECTIVE, held="core", sample=SAMPLE, text=TEXT)


def learning(trials, **kwargs):
    options = {"rungs": [1e5, 3e5], "by_candidates": True, **kwargs}
    return learning_figure(trials, objective=OBJECTIVE, sample=SAMPLE, text=TEXT, **options)


def line_heights(axes, place):
    """Heights of the line of steps at a place."""
    steps = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 2]
    return {
        start[1]
        for start, end in steps
        if start[1] == end[1] and start[0] <= place <= end[0]
    }  # fmt: skip


def test_the_line_stands_at_the_best_value_at_each_trial_and_each_hour():
    trials = random_trials()
    figure, points = progress(trials)
    left, right = figure.axes
    for trial, best in zip(trials, slow_best(trials), strict=True):
        assert best is None or best in line_heights(left, trial.number)
    ended = sorted((t for t in trials if t.spent is not None), key=lambda t: t.spent)
    unit = {"hours": 1, "minutes": 60, "seconds": 3600}[right.get_xlabel().split()[-1].strip(")")]
    for trial, best in zip(ended, slow_best(ended), strict=True):
        assert best is None or best in line_heights(right, trial.spent * unit)
    assert [t["best_so_far"] for t in points["trials"]] == slow_best(trials)


def test_every_fate_has_a_mark_of_its_own_that_differs_in_grey():
    figure, _ = progress(random_trials())
    (legend,) = figure.legends
    marks = {
        h.get_label().split()[-1]: h.get_marker()
        for h in legend.legend_handles
        if str(h.get_marker()) not in ("None", "")
    }
    assert set(marks) == set(FATES)
    assert len(set(marks.values())) == len(FATES)


def test_trials_without_a_value_are_marked_at_the_foot():
    figure, _ = progress(
        [TrialPoint(0, "failed", spent=0.1), TrialPoint(1, "complete", value=3.0, spent=0.2)]
    )
    feet = [x.get_xdata() for x in figure.axes[0].lines if list(x.get_ydata()) == [0.025]]
    assert [list(foot) for foot in feet] == [[0]]


def test_curves_end_where_trials_ended_and_repeated_ones_are_left_out():
    trials = random_trials()
    figure, points = learning(trials)
    (axes,) = figure.axes
    drawn = {t["trial"]: t for t in points["trials"]}
    trained = [t for t in trials if t.values and t.fate != "repeated"]
    assert set(drawn) == {t.number for t in trained}
    curves = [line for part in axes.collections for line in getattr(part, "get_segments", list)()]
    (best,) = [x.get_xydata() for x in axes.lines if x.get_linewidth() == 2.4]
    heights = sorted(tuple(curve[:, 1]) for curve in [*curves, best])
    assert heights == sorted(tuple(t.values) for t in trained)
    assert axes.get_xlabel().endswith("(thousands)")
    assert max(curve[:, 0].max() for curve in [*curves, best]) == pytest.approx(6e2)
    assert points["rungs"] == [1e5, 3e5]


def test_the_star_stands_at_the_best_report_of_the_best_trial():
    trials = [TrialPoint(0, "complete", value=9.0, seen=[1, 2, 3], values=[1.0, 9.0, 5.0])]
    figure, _ = learning(trials, rungs=[], by_candidates=False)
    (star,) = [x for x in figure.axes[0].lines if x.get_marker() == "*"]
    assert star.get_xydata().tolist() == [[2.0, 9.0]]


def test_the_star_stands_at_the_kept_report_of_the_trial_of_rank_one():
    trials = [
        TrialPoint(0, "complete", value=9.0, rank=2, seen=[1, 2], values=[8.0, 9.0]),
        TrialPoint(1, "complete", value=7.0, rank=1, seen=[1, 2, 3], values=[5.0, 7.0, 8.5]),
    ]
    figure, _ = learning(trials, rungs=[], by_candidates=False)
    (star,) = [x for x in figure.axes[0].lines if x.get_marker() == "*"]
    assert star.get_xydata().tolist() == [[2.0, 7.0]]


@pytest.mark.parametrize(
    "trials", [[], [TrialPoint(0, "failed")], [TrialPoint(0, "unfinished", spent=None)]]
)
def test_trials_without_values_can_be_drawn(trials):
    for figure, points in (progress(trials), learning(trials, rungs=[])):
        figure.canvas.draw()
        assert points["objective"] == OBJECTIVE


def test_values_of_decades_have_a_logarithmic_axis_and_near_ones_a_linear():
    for values, scale in (([1.0, 50.0], "log"), ([40.0, 50.0], "linear"), ([0.0, 50.0], "linear")):
        trials = [TrialPoint(n, "complete", value=v, spent=0.1) for n, v in enumerate(values)]
        axes = progress(trials)[0].axes[0]
        assert axes.get_yscale() == scale
        low, high = axes.get_ylim()
        assert low < min(values) < max(values) < high
        assert math.isfinite(high)
