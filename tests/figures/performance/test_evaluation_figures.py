"""Figures of an evaluation: their labels are complete, text stays inside, and points are JSON."""

import json

import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.evaluation_figures import Subject, pages
from tauopt.figures.performance.permutation_importance_figure import importance_figure
from tauopt.figures.performance.roc_figures import roc_ratio_figure
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.permutation_importance import PermutationImportance
from tauopt.metrics.scored_trial import ScoredTrial, apply_working_points, from_stored_score
from tests.figures.performance.test_trial_figures import history, texts
from tests.metrics.toys import several_classes

SAMPLE = SampleLabel("demo", "test split", "reweighted in pT")


def contenders(*, negative=0.05, reference=True):
    predictions = several_classes(np.random.default_rng(1), negative=negative)
    noise = 0.5 * np.random.default_rng(2).normal(size=len(predictions))
    chosen = [ScoredTrial("trial", predictions)]
    if reference:
        chosen.append(from_stored_score("stored RNN", predictions.score + noise, predictions))
    return apply_working_points(chosen, None)


def subject(contenders):
    """The inputs of the figures of an evaluation, with made-up importances."""
    train = several_classes(np.random.default_rng(5), negative=0.05)
    features = [("tracks", True), ("candidate", True)] + [
        (f"tracks.f{i}", False) for i in range(40)
    ]
    return Subject(
        contenders,
        SAMPLE,
        train=train,
        history=history(4),
        objective="auc",
        importances=[
            PermutationImportance(
                name, Estimate(0.01 * i, 0.01 * i - 0.003, 0.01 * i + 0.003), is_group
            )
            for i, (name, is_group) in enumerate(features)
        ],
        permuted=contenders[0].predictions,
    )


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(1)
    return {
        (kind, name): (figure, points)
        for kind, trials in (("alone", contenders(reference=False)), ("compared", contenders()))
        for name, figure, points in pages(subject(trials), rng=rng)
    }


def test_all_figures_are_drawn(drawn):
    names = {"roc", "roc_1p", "roc_3p", "scores", "efficiency_pt_1p", "efficiency_pt_3p",
             "rejection_pt_1p", "rejection_pt_3p", "flatness_1p", "flatness_3p",
             "efficiency_prongs", "rejection_prongs", "confusion_by_true",
             "confusion_by_predicted", "one_against_rest", "calibration", "training",
             "importance_groups", "importance_features"}  # fmt: skip
    for kind in ("alone", "compared"):
        assert {name for drawn_kind, name in drawn if drawn_kind == kind} == names


def test_every_figure_states_sample_selection_weights_and_number(drawn):
    for (_, name), (figure, _) in drawn.items():
        heading = "demo, training" if name == "training" else "demo, test split"
        number = () if name == "training" else ("N = ", "reweighted in pT")
        for part in ("tauopt", heading, *number):
            assert part in texts(figure) + "".join(t.get_text() for t in figure.texts), name


def test_all_text_lies_inside_the_figure(drawn):
    for key, (figure, _) in drawn.items():
        figure.canvas.draw()
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0, key
        assert box.x1 <= width, key
        assert box.y1 <= height, key


def test_points_are_json(drawn):
    for (_, name), (_, points) in drawn.items():
        again = json.loads(json.dumps(points, allow_nan=False))
        assert name == "training" or again["note"]


def test_a_reference_is_in_the_figure_with_its_ratio(drawn):
    figure, points = drawn["compared", "roc_1p"]
    assert len(figure.axes) == 2
    assert set(points["curves"]) == {"trial", "stored RNN"}
    assert points["ratio"]["to"] == "stored RNN"
    assert "stored RNN" in texts(figure)
    assert len(drawn["alone", "roc_1p"][0].axes) == 1


def test_working_points_lie_on_the_curve():
    _, points = roc_ratio_figure(contenders(), sample=SAMPLE, rng=np.random.default_rng(1))
    for curve in points["curves"].values():
        at, rejection = np.array(curve["signal_efficiency"]), curve["rejection"]["value"]
        for name, point in curve["working_points"].items():
            assert point["signal_efficiency"][0] == pytest.approx(float(name[:2]) / 100, abs=0.02)
            near = np.interp(point["signal_efficiency"][0], at, rejection)
            assert point["rejection"][0] == pytest.approx(near, rel=0.25)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_names_of_working_points_lie_on_no_curve_and_within_the_frame(order, sigma):
    first, _ = contenders()
    noise = sigma * np.random.default_rng(2).normal(size=len(first.predictions))
    other = from_stored_score("stored RNN", first.predictions.score + noise, first.predictions)
    shown = apply_working_points([ScoredTrial("trial", first.predictions), other][::order], None)
    figure, _ = roc_ratio_figure(shown, sample=SAMPLE, rng=np.random.default_rng(1))
    figure.canvas.draw()
    main = figure.axes[0]
    names = [text for text in main.texts if text.get_text().endswith("%")]
    assert len(names) == 4
    for number, text in enumerate(names):
        box = text.get_window_extent()
        for line in main.lines:
            x, y = line.get_xdata(), line.get_ydata()
            grid = np.linspace(x.min(), x.max(), 2000)
            dense = np.column_stack([grid, np.interp(grid, x, y)])
            assert not box.count_contains(main.transData.transform(dense)), text.get_text()
        assert main.bbox.contains(box.x0, box.y0)
        assert main.bbox.contains(box.x1, box.y1)
        assert not box.overlaps(main.get_legend().get_window_extent())
        assert not box.count_overlaps(
            [other_name.get_window_extent() for other_name in names[:number]]
        )


@pytest.mark.parametrize("value", [0.2, -0.2, 2e-6])
def test_the_note_of_importances_is_below_the_bars_and_names_have_room(value):
    names = ["candidate", "particle_flow_candidates_in_the_isolation_cone_of_the_tau", "tracks"]
    lost = Estimate(value, value - 0.1 * abs(value), value + 0.1 * abs(value))
    entries = [PermutationImportance(name, lost, True) for name in names]
    predictions = contenders(reference=False)[0].predictions
    figure, points = importance_figure(entries, predictions, sample=SAMPLE)
    figure.canvas.draw()
    (axes,) = figure.axes
    (note,) = [text for text in figure.texts if text.get_text() == points["note"]]
    assert note.get_window_extent().y1 < axes.xaxis.get_tightbbox().y0
    assert figure.get_tightbbox().x0 >= 0
    assert not axes.xaxis.get_offset_text().get_visible()
    assert points["names"][1] == names[1]


def test_a_curve_shows_the_lowest_requested_efficiency():
    predictions = several_classes(np.random.default_rng(1), negative=0.05)
    efficiencies = [0.03, 0.5]
    (trial,) = apply_working_points(
        [ScoredTrial("trial", predictions)], None, efficiencies=efficiencies
    )
    assert list(trial.passes) == ["3 %", "50 %"]
    rng = np.random.default_rng(1)
    figure, points = roc_ratio_figure([trial], sample=SAMPLE, rng=rng, least=min(efficiencies))
    assert figure.axes[0].get_xlim()[0] < 0.03
    assert points["curves"]["trial"]["signal_efficiency"][0] < 0.03


def test_scores_of_other_candidates_are_not_compared():
    first, second = contenders()
    mask = np.arange(len(first.predictions)) % 2 == 0
    with pytest.raises(DataError, match="same candidates"):
        roc_ratio_figure([first.where(mask), second.where(~mask)], sample=SAMPLE,
                         rng=np.random.default_rng(1))  # fmt: skip
