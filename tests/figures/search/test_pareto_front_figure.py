import json

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.save_figure import save_figure
from tauopt.figures.search.pareto_front_figure import ObjectiveAxis, front_figure
from tauopt.metrics.estimate import Estimate

SAMPLE = SampleLabel("demo", "validation split", "reweighted in pT")
TEXT = "N = 7 signal, 8 background\nreweighted in pT; errors: 68 %, statistical"
REJECTION = [50.0, 80.0, 70.0, 90.0, 40.0]
LATENCY = [300.0, 200.0, 100.0, 900.0, 120.0]
ON_FRONT = [False, True, True, True, False]


def axis(name, values, *, larger, spread=0.1):
    errors = [Estimate(v, v * (1 - spread), v * (1 + 2 * spread)) for v in values]
    return ObjectiveAxis(name, errors, larger)


def drawn(latency=LATENCY, rejection=REJECTION, *, larger=False, default=0, numbers=None):
    return front_figure(
        axis("rejection@0.75", rejection, larger=True),
        axis("latency_us", latency, larger=larger),
        trials=numbers or list(range(len(rejection))),
        default=default,
        sample=SAMPLE,
        text=TEXT,
    )


def texts(figure):
    (axes,) = figure.axes
    legend = axes.get_legend()
    lines = [t.get_text() for t in (*axes.texts, *legend.get_texts(), legend.get_title())]
    return [*lines, axes.get_xlabel(), axes.get_ylabel()]


def line(figure):
    """The corners of the front's line of steps."""
    (steps,) = [x for x in figure.axes[0].lines if x.get_drawstyle().startswith("steps")]
    return steps.get_xydata(), steps.get_drawstyle()


def faces(figure):
    """Marker and face of each set of trials."""
    return [
        (x.get_marker(), to_rgb(x.get_markerfacecolor()))
        for x in figure.axes[0].lines
        if x.get_marker() in ("o", "D")
    ]


def test_it_states_sample_selection_weights_number_and_the_better_direction():
    text = "\n".join(texts(drawn()[0]))
    for part in ("tauopt", "demo, validation split", TEXT, "5 trials", "3 of them on the front",
                 "default values", "latency_us (smaller is better)", "rejection@0.75"):  # fmt: skip
        assert part in text


def test_the_front_is_marked_named_and_bounded_by_steps_to_the_edges():
    figure, points = drawn()
    assert points["front"] == ON_FRONT
    assert {"t001", "t002", "t003"} <= set(texts(figure))
    corners, style = line(figure)
    assert style == "steps-post"
    np.testing.assert_allclose(corners[1:-1], [(100, 70), (200, 80), (900, 90)])
    axes = figure.axes[0]
    assert corners[0].tolist() == [100, axes.get_ylim()[0]]
    assert corners[-1].tolist() == [axes.get_xlim()[1], 90]


def test_where_larger_is_better_the_front_falls_to_the_right():
    figure, points = drawn(larger=True)
    assert points["front"] == [False, False, False, True, False]
    corners, style = line(figure)
    assert style == "steps-pre"
    axes = figure.axes[0]
    assert corners.tolist() == [
        [axes.get_xlim()[0], 90], [900, 90], [900, axes.get_ylim()[0]],
    ]  # fmt: skip


def test_no_trial_lies_above_the_steps():
    """Every trial lies on the line or under it, at its own latency."""
    rng = np.random.default_rng(4)
    latency, rejection = rng.uniform(100, 900, 40), rng.uniform(20, 90, 40)
    figure, points = drawn(latency.tolist(), rejection.tolist())
    corners, _ = line(figure)
    x, y = corners[1:-1].T
    reached = [y[x <= value].max() for value in latency]
    assert (rejection <= np.array(reached) + 1e-9).all()
    assert ((rejection >= np.array(reached) - 1e-9) == np.array(points["front"])).all()


def test_default_values_have_a_shape_and_the_front_a_fill_that_differs_in_grey():
    for default, filled in ((0, False), (1, True)):
        marks = faces(drawn(default=default)[0])
        (diamond,) = [face for marker, face in marks if marker == "D"]
        assert (sum(diamond) < 2) == filled
    brightness = {round(sum(face) / 3, 2) for _, face in marks}
    assert len(brightness) == 2
    assert max(brightness) - min(brightness) > 0.4


def test_every_trial_has_errors_and_is_inside_the_axes():
    figure, points = drawn()
    axes = figure.axes[0]
    for name, (low, high) in (("rejection@0.75", axes.get_ylim()), ("latency_us", axes.get_xlim())):
        values = np.array(points[name])
        assert (values[:, 1] < values[:, 0]).all()
        assert low < values.min()
        assert values.max() < high


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [0.0, 3.0], [1.0, 1000.0]])
def test_one_trial_equal_ones_and_wide_spans_can_be_drawn(values):
    figure, points = drawn(values, values, default=99)
    assert points["default"] is None
    assert "default values" not in texts(figure)
    assert np.isfinite([*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim()]).all()


def test_the_points_are_saved_as_json(tmp_path):
    figure, points = drawn(numbers=[3, 5, 7, 9, 11], default=5)
    paths = save_figure(figure, points, tmp_path, name="front-latency_us")
    assert [path.name for path in paths] == ["front-latency_us.png", "front-latency_us.json"]
    saved = json.loads(paths[1].read_text())
    assert saved["trials"] == ["t003", "t005", "t007", "t009", "t011"]
    assert saved["default"] == "t005"
    assert saved["latency_us"][0] == [300.0, 270.0, 360.0]
