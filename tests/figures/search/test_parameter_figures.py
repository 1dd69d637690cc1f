"""Parallel coordinates, slices and importances of hyperparameters."""

import numpy as np
import pytest

from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.search.hyperparameter_importance_figure import (
    MOST,
    HyperparameterImportance,
    importance_figure,
)
from tauopt.figures.search.parallel_coordinates_figure import INACTIVE, heights_of, parallel_figure
from tauopt.figures.search.parameter_axis import ChoiceAxis, NumberAxis
from tauopt.figures.search.slices_figure import places_of, slice_figure
from tauopt.figures.search.trial_points import TrialPoint

SAMPLE = SampleLabel("demo", "validation split")
TEXT = "N = 7 signal, 8 background; physics weights"
OBJECTIVE = "rejection@0.75"
AXES = [
    ChoiceAxis("model.type", ("rnn", "deepsets")),
    NumberAxis("training.learning_rate", 1e-4, 1e-2, log=True),
    NumberAxis("model.dropout", 0.0, 0.4),
    NumberAxis("model.units", 4, 64, log=True, whole=True),
]


def trials():
    rnn = {"model.type": "rnn", "training.learning_rate": 1e-3, "model.dropout": 0.1}
    sets = {"model.type": "deepsets", "training.learning_rate": 1e-2, "model.units": 64}
    return [
        TrialPoint(0, "complete", value=10.0, low=9.0, high=12.0, params=rnn),
        TrialPoint(1, "complete", value=40.0, low=35.0, high=50.0, params=sets),
        TrialPoint(2, "pruned", value=5.0, params={**rnn, "model.dropout": 0.4}),
        TrialPoint(3, "failed", params=rnn),
        TrialPoint(4, "repeated", value=40.0, params=sets),
    ]


def parallel(shown=None, axes=AXES):
    return parallel_figure(
        trials() if shown is None else shown, axes, objective=OBJECTIVE, sample=SAMPLE, text=TEXT
    )


def slices(shown=None, axes=AXES):
    return slice_figure(
        trials() if shown is None else shown, axes, objective=OBJECTIVE, sample=SAMPLE, text=TEXT
    )


def test_lines_cross_axes_at_their_values_and_pass_below_inactive_ones():
    heights = heights_of(trials(), AXES)
    np.testing.assert_allclose(heights[0], [0.0, 0.5, 0.25, INACTIVE], atol=1e-12)
    np.testing.assert_allclose(heights[1], [1.0, 1.0, INACTIVE, 1.0], atol=1e-12)
    _, points = parallel()
    assert points["trials"][0]["heights"][-1] is None
    assert points["trials"][1]["values"] == ["deepsets", 1e-2, None, 64]
    assert [axis.get("log") for axis in points["axes"]] == [None, True, False, True]


def test_repeated_trials_are_left_out_and_incomplete_ones_faint():
    figure, points = parallel()
    assert [t["trial"] for t in points["trials"]] == [0, 1, 2, 3]
    plane = figure.axes[0]
    counts = {c.get_alpha(): len(c.get_segments()) for c in plane.collections}
    assert counts[0.35] == 2
    assert sum(counts.values()) + 1 >= 4


def test_the_better_of_two_trials_is_darker():
    figure, _ = parallel()
    colours = [c for c in figure.axes[0].collections if len(c.get_colors()) == 2]
    (lines,) = colours
    worse, better = lines.get_colors()[:, :3] @ (0.3, 0.59, 0.11)
    assert better < worse - 0.3


def test_the_lane_of_inactive_parameters_is_there_only_where_it_is_needed():
    def texts(figure):
        return [text.get_text() for text in figure.axes[0].texts]

    assert "not active" in texts(parallel()[0])
    assert "not active" not in texts(parallel(axes=AXES[:2])[0])


def test_a_slice_is_logarithmic_where_its_range_is():
    figure, _ = slices()
    scales = {p.get_xlabel(): p.get_xscale() for p in figure.axes if p.get_visible()}
    assert scales == {
        "type": "linear", "learning_rate (log)": "log", "dropout": "linear", "units (log)": "log",
    }  # fmt: skip
    for panel, axis in zip(figure.axes[1:], AXES[1:], strict=False):
        low, high = panel.get_xlim()
        assert low < axis.low < axis.high < high


def test_a_slice_holds_the_trials_in_which_its_parameter_is_active():
    figure, points = slices()
    units = points["parameters"]["model.units"]
    assert [(t["trial"], t["x"], t["value"]) for t in units] == [(1, 64, 40.0)]
    texts = [text.get_text() for text in figure.axes[3].texts]
    assert texts == ["active in 1 of 3"]
    assert not figure.axes[1].texts


def test_marks_at_a_choice_are_near_its_place_and_not_on_each_other():
    many = [
        TrialPoint(n, "pruned", value=1.0, params={"model.type": "deepsets"}) for n in range(40)
    ]
    places = places_of(AXES[0], many)
    assert len(set(places)) == 40
    assert np.abs(np.array(places) - 1.0).max() < 0.2


@pytest.mark.parametrize("draw", [parallel, slices])
@pytest.mark.parametrize("count", [0, 1])
def test_no_or_one_trial_on_one_axis_can_be_drawn(draw, count):
    figure, points = draw(trials()[:count], AXES[:1])
    figure.canvas.draw()
    assert points["objective"] == OBJECTIVE


def importance(by_objective=None, trials=20):
    importances = by_objective or {
        OBJECTIVE: [
            HyperparameterImportance("model.a", 0.2, 0.1, 0.4, 20),
            HyperparameterImportance("model.b", 0.8, 0.5, 0.9, 7),
            HyperparameterImportance("model.c", None, active=20, why_not="always 3"),
        ]
    }
    return importance_figure(importances, trials=trials, judged_by="complete", sample=SAMPLE)


def test_importances_are_ordered_with_active_counts_and_unranked_parameters_below():
    figure, points = importance()
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["b (7)", "a", "c"]
    assert "not ranked: always 3" in [text.get_text() for text in axes.texts]
    assert points["objectives"][OBJECTIVE]["model.c"]["not_ranked"] == "always 3"


def test_importances_of_many_parameters_list_those_that_are_not_shown():
    many = {
        OBJECTIVE: [HyperparameterImportance(f"model.p{n}", 1 / 40, active=20) for n in range(40)]
    }
    figure, points = importance(many)
    assert len(figure.axes[0].get_yticklabels()) == MOST
    assert len(points["not_shown"]) == 40 - MOST


def test_importances_for_several_objectives_have_marks_of_their_own():
    ranked = [HyperparameterImportance("model.a", 0.2, 0.1, 0.4, 20)]
    figure, _ = importance({OBJECTIVE: ranked, "latency_us": ranked})
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [OBJECTIVE, "latency_us"]
