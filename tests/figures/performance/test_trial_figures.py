import json
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from tauopt.config.settings.dataset import Dataset
from tauopt.errors import DataError
from tauopt.figures.figure_style import FIGURE_SIZE, LINES, SampleLabel, curve_style, weights_of
from tauopt.figures.performance.comparison_figures import overlaid_training
from tauopt.figures.performance.trial_figure_set import write_figures
from tauopt.figures.performance.trial_figures import (
    confusion_figure,
    roc_figure,
    score_figure,
    training_figure,
)
from tauopt.figures.save_figure import save_figure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.standard_metrics import summary
from tests.metrics.toys import gaussians, several_classes

SAMPLE = SampleLabel("demo", "validation split", "reweighted in pT")


@pytest.fixture(scope="module")
def predictions():
    return several_classes(np.random.default_rng(1), negative=0.05)


def history(reports, *, errors=True):
    rows = [{"candidates_seen": 1e4 * n, "loss": 1 / n, "val_loss": 1.1 / n, "auc": 1 - 1 / n}
            for n in range(1, reports + 1)]  # fmt: skip
    if errors:
        for row in rows:
            row |= {"auc_low": row["auc"] - 0.1, "auc_high": row["auc"] + 0.1}
    return rows


def texts(figure):
    axes = figure.axes
    legends = [a.get_legend() for a in axes if a.get_legend()]
    lines = [t.get_text() for a in axes for t in a.texts]
    lines += [t.get_text() for legend in legends for t in legend.get_texts()]
    lines += [legend.get_title().get_text() for legend in legends]
    lines += [tick.get_text() for a in axes for tick in a.get_yticklabels()]
    return "\n".join(lines + [a.get_xlabel() for a in axes])


def figures(predictions):
    yield roc_figure(predictions, sample=SAMPLE)
    yield score_figure(predictions, sample=SAMPLE)
    yield confusion_figure(predictions, sample=SAMPLE)
    yield training_figure(
        history(4), objective="auc", kept=0.9, sample=SAMPLE, text="reweighted in pT, N = 3"
    )


def test_every_figure_states_sample_selection_weights_and_number(predictions):
    for figure, _ in figures(predictions):
        for part in ("tauopt", "demo, validation split", "reweighted in pT", "N = "):
            assert part in texts(figure)


@pytest.mark.parametrize(
    ("weight", "changes", "balanced", "text"),
    [
        ("1", {}, True, "unweighted"),
        ("genWeight", {}, True, "physics weights"),
        ("genWeight", {"negative_weights": "absolute"}, True, "physics weights, signs left out"),
        ("1", {"proportions": {"jet": 0.5}}, True, "unweighted, classes in set proportions"),
        ("w", {"reweight": {"variable": "pt", "to": ["tau"]}}, True,
         "weighted to one spectrum of pt"),
        ("w", {"reweight": {"variable": "pt", "to": ["tau"]}}, False,
         "physics weights"),
    ],
)  # fmt: skip
def test_figures_and_cards_state_the_weights(weight, changes, balanced, text):
    data = Dataset.model_validate(
        {
            "name": "toy",
            "samples": {"a": {"files": ["x.root"], "classes": ["jet", "tau"], "weight": weight}},
            "classes": {"jet": "!is_tau", "tau": "is_tau"},
            "split": {"folds": 5},
            "candidate": {"pt": {}},
            **changes,
        }
    )
    assert weights_of(data, balanced=balanced) == text


def test_figures_are_the_same_whatever_the_callers_style(predictions, tmp_path):
    def content(folder):
        figure, points = roc_figure(predictions, sample=SAMPLE)
        return save_figure(figure, points, tmp_path / folder, name="roc")[0].read_bytes()

    plain = content("a")
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "font.family": "serif"}):
        assert content("b") == plain


def test_all_text_lies_inside_the_figure(predictions):
    for figure, _ in figures(predictions):
        figure.canvas.draw()
        box = figure.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= FIGURE_SIZE[0]
        assert box.y1 <= FIGURE_SIZE[1]


@pytest.mark.parametrize("reports", [3, 20])
def test_legends_do_not_cover_curves(predictions, reports):
    text = "N = 1,203 signal, 1,198 background\nphysics weights; errors: 68 %, statistical"
    for figure, _ in (
        roc_figure(predictions, sample=SAMPLE),
        training_figure(history(reports), objective="auc", kept=0.9, sample=SAMPLE, text=text),
    ):
        figure.canvas.draw()
        for axes in figure.axes:
            legend = axes.get_legend().get_window_extent()
            for line in axes.lines:
                shown = axes.transData.transform(line.get_xydata())
                assert not legend.count_contains(shown)


def test_lines_differ_in_grey_and_those_of_many_classes_in_colour_or_dashes():
    assert len({str(line["linestyle"]) for line in LINES}) == len(LINES)
    assert len({str(curve_style(number)) for number in range(len(LINES) ** 2)}) == len(LINES) ** 2


def test_roc_points_are_the_numbers_of_the_summary(predictions):
    _, points = roc_figure(predictions, sample=SAMPLE)
    numbers = summary(predictions)
    assert points["curves"].keys() == {"all", "1-prong", "3-prong"}
    working = points["curves"]["3-prong"]["working_points"]
    at = working["signal_efficiency"].index(0.75)
    assert working["rejection"][at] == pytest.approx(numbers["rejection@0.75/3p"].value, rel=1e-5)
    assert working["high"][at] == pytest.approx(numbers["rejection@0.75/3p"].high, rel=1e-5)
    assert points["curves"]["all"]["auc"] == numbers["auc"].triple


def test_roc_of_a_perfect_network_shows_limits():
    rng = np.random.default_rng(2)
    figure, points = roc_figure(gaussians(rng, separation=30), sample=SAMPLE)
    assert all(points["curves"]["all"]["working_points"]["limit"])
    figure.canvas.draw()


def test_scores_of_each_class_have_unit_area(predictions):
    _, points = score_figure(predictions, sample=SAMPLE)
    widths = np.diff(points["edges"])
    for shown in points["classes"].values():
        assert np.sum(shown["density"] * widths) == pytest.approx(1, rel=1e-4)


def test_an_absent_class_does_not_stop_the_figures(predictions):
    part = predictions.where(predictions.labels != 2)
    for draw in (score_figure, confusion_figure):
        figure, points = draw(part, sample=SAMPLE)
        figure.canvas.draw()
        json.dumps(points, allow_nan=False)


def test_many_classes_still_fit():
    rng = np.random.default_rng(3)
    names = tuple(f"decay_mode_{index}" for index in range(12))
    p = rng.dirichlet(np.ones(12), 500)
    many = Predictions(p, rng.integers(0, 12, 500), np.ones(500), classes=names, signal=names[1:])
    for draw in (score_figure, confusion_figure):
        draw(many, sample=SAMPLE)[0].canvas.draw()


@pytest.mark.parametrize(("reports", "errors"), [(1, True), (3, False), (100, True)])
def test_training_curves_need_neither_errors_nor_many_reports(reports, errors):
    rows = history(reports, errors=errors)
    figure, points = training_figure(rows, objective="auc", kept=0.9, sample=SAMPLE)
    figure.canvas.draw()
    assert points["auc"] == pytest.approx([row["auc"] for row in rows])


@pytest.mark.parametrize(
    ("loss", "seen", "labels"),
    [
        (1.0, 1e2, ("Loss", "Candidates seen (thousands)")),
        (1e6, 1e6, ("Loss / 10⁶", "Candidates seen (millions)")),
        (1e-6, 1e9, ("Loss / 10⁻⁶", "Candidates seen (billions)")),
    ],
)
def test_no_power_of_ten_lies_over_the_frame_of_training_curves(loss, seen, labels):
    rows = [
        row | {"loss": loss * row["loss"], "val_loss": loss * row["val_loss"],
               "candidates_seen": seen * n, "auc": 1e4 * row["auc"]}
        for n, row in enumerate(history(20, errors=False), 1)
    ]  # fmt: skip
    alone, _ = training_figure(rows, objective="auc", kept=0.9, sample=SAMPLE)
    several, _ = overlaid_training({"a": rows, "b": rows}, objective="auc", sample=SAMPLE)
    for figure, before in ((alone, ""), (several, "Validation ")):
        figure.canvas.draw()
        above, below = figure.axes
        axis_labels = above.get_ylabel().lower(), below.get_xlabel()
        assert axis_labels == ((before + labels[0]).lower(), labels[1])
        for axis in (above.yaxis, below.yaxis, below.xaxis):
            assert not axis.get_offset_text().get_visible()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0
        assert (box.x1, box.y1) <= (width, height)


def test_a_flat_loss_has_short_numbers_at_its_axis():
    rows = [row | {"loss": 0.6931471, "val_loss": 0.6931472} for row in history(9)]
    figure, _ = training_figure(rows, objective="auc", kept=0.9, sample=SAMPLE)
    figure.canvas.draw()
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(set(ticks)) == len(ticks)
    assert max(map(len, ticks)) <= 6


def test_the_star_stands_at_the_report_that_is_kept_not_at_the_largest_value():
    rows = history(5)
    figure, _ = training_figure(rows, objective="auc", kept=rows[1]["auc"], sample=SAMPLE)
    (star,) = (line for line in figure.axes[1].lines if line.get_marker() == "*")
    assert star.get_xdata() == figure.axes[1].lines[0].get_xdata()[1]
    assert star.get_ydata() == rows[1]["auc"] < max(row["auc"] for row in rows)


def test_of_equal_values_the_star_stands_at_the_lowest_loss():
    rows = [row | {"auc": 0.9} for row in history(5)]
    rows[3] |= {"val_loss": 0.01}
    figure, _ = training_figure(rows, objective="auc", kept=0.9, sample=SAMPLE)
    (star,) = (line for line in figure.axes[1].lines if line.get_marker() == "*")
    curve = figure.axes[1].lines[0].get_xdata()
    assert star.get_xdata() == curve[3]


def test_figures_are_files_with_their_points_beside_them(predictions, tmp_path):
    files = write_figures(
        predictions, tmp_path / "figures", sample=SAMPLE, history=history(3), objective="auc"
    )
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == sorted(path.name for path in files)
    stems = ("confusion", "roc", "score", "training")
    assert names == [f"{stem}.{end}" for stem in stems for end in ("json", "png")]
    for path in files:
        if path.suffix == ".json":
            json.loads(path.read_text(), parse_constant=pytest.fail)
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


def test_one_class_only_is_an_error_before_anything_is_written(predictions, tmp_path):
    with pytest.raises(DataError):
        write_figures(predictions.where(predictions.labels == 1), tmp_path / "x", sample=SAMPLE)
    assert not (tmp_path / "x").exists()


def test_metrics_need_no_matplotlib():
    code = (
        "import sys, tauopt.metrics.bootstrap, tauopt.metrics.standard_metrics; "
        "print('matplotlib' in sys.modules, 'tensorflow' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == ["False", "False"]
