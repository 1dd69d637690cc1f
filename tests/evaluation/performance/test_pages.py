"""Figures of an evaluation: labelled, whole, and with the points that they show."""

import json

import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.evaluation.contender import Contender, decided, scored
from tauopt.evaluation.drawing.style import Sample
from tauopt.evaluation.importance import Importance
from tauopt.evaluation.measured import Measured
from tauopt.evaluation.performance.pages import Subject, pages
from tauopt.evaluation.performance.roc_figures import roc_ratio_figure

from ..toys import several_classes
from .test_trial_figures import history, texts

SAMPLE = Sample("demo", "test split", "reweighted in pT")


def contenders(*, negative=0.05, reference=True):
    predictions = several_classes(np.random.default_rng(1), negative=negative)
    noise = 0.5 * np.random.default_rng(2).normal(size=len(predictions))
    chosen = [Contender("trial", predictions)]
    if reference:
        chosen.append(scored("stored RNN", predictions.score + noise, predictions))
    return decided(chosen, None)


def subject(contenders):
    """What an evaluation draws, with made-up importances."""
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
            Importance(name, Measured(0.01 * i, 0.01 * i - 0.003, 0.01 * i + 0.003), whole)
            for i, (name, whole) in enumerate(features)
        ],
        permuted=contenders[0].predictions,
    )


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(1)
    return {
        (kind, name): (figure, points)
        for kind, one in (("alone", contenders(reference=False)), ("compared", contenders()))
        for name, figure, points in pages(subject(one), rng=rng)
    }


def test_all_figures_are_drawn(drawn):
    names = {"roc", "roc_1p", "roc_3p", "scores", "efficiency_pt_1p", "efficiency_pt_3p",
             "rejection_pt_1p", "rejection_pt_3p", "flatness_1p", "flatness_3p",
             "efficiency_prongs", "rejection_prongs", "confusion_by_true",
             "confusion_by_predicted", "one_against_rest", "calibration", "training",
             "importance_groups", "importance_features"}  # fmt: skip
    for kind in ("alone", "compared"):
        assert {name for of, name in drawn if of == kind} == names


def test_every_figure_states_sample_selection_weights_and_number(drawn):
    for (_, name), (figure, _) in drawn.items():
        where = "demo, training" if name == "training" else "demo, test split"
        number = () if name == "training" else ("N = ", "reweighted in pT")
        for part in ("tauopt", where, *number):
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


def test_scores_of_other_candidates_are_not_compared():
    first, second = contenders()
    mask = np.arange(len(first.predictions)) % 2 == 0
    with pytest.raises(DataError, match="same candidates"):
        roc_ratio_figure([first.where(mask), second.where(~mask)], sample=SAMPLE,
                         rng=np.random.default_rng(1))  # fmt: skip
