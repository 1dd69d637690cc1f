"""Figures of a dataset: labels are complete, text stays inside, and points are right."""

import json

import numpy as np
import pytest

from tauopt.config.settings.inputs import FittedFeature, FittedGroup, Transform
from tauopt.figures.dataset.dataset_figures import (
    DrawnCandidates,
    DrawnObjects,
    formula,
    number_of_pages,
    pages,
)
from tauopt.figures.dataset.feature_figures import (
    correlation_figure,
    feature_figure,
    multiplicity_figure,
    spectrum_figure,
)
from tauopt.figures.dataset.validation_figure import validation_figure
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.save_figure import save_book
from tauopt.metrics.histogram import WeightedValues, correlation

SAMPLE = SampleLabel("demo", "training split", "weighted to one spectrum of pt")
CLASSES = ("jet", "1p0n", "1p1n", "1pXn", "3p0n", "3pXn")


@pytest.fixture(scope="module")
def physical():
    rng = np.random.default_rng(1)
    return {
        name: WeightedValues(1000 * (1 + rng.pareto(1.5, 500)), rng.normal(1, 0.3, 500))
        for name in CLASSES
    }


def spectra(rng):
    def sums():
        return {"sums": rng.uniform(0, 1, 42).tolist(), "squares": rng.uniform(0, 1, 42).tolist()}

    return {
        "variable": "pt",
        "edges": np.geomspace(2e4, 5e5, 41).tolist(),
        "classes": {n: {"candidates": 50, "before": sums(), "after": sums()} for n in CLASSES},
    }


def report(p=0.5):
    """Return a validation's report as `prepare` writes it, with one p-value among chance ones."""
    rng = np.random.default_rng(5)
    parts = {f"train-0000{i}": 100 for i in range(3)}
    names = [f"tracks.{number} of the first object" for number in range(40)]
    variables = {name: {"KS": {part: rng.random() for part in parts}} for name in names}
    variables["candidate.pt"] = {"KS": {"train-00001": p}}
    return {"tests": 121, "level": 1e-4, "splits": {"train": {"candidates": parts, "p": variables}}}


def figures(physical):
    rng = np.random.default_rng(2)
    seen = {
        name: WeightedValues(np.log10(sample.values), sample.weights)
        for name, sample in physical.items()
    }
    counts = {name: WeightedValues(rng.poisson(4, 500), np.ones(500)) for name in CLASSES}
    names = [f"a_rather_long_name_{i}" for i in range(12)]
    matrix = correlation(rng.normal(size=(100, 12)), np.ones(100))
    yield feature_figure(physical, seen, name="tracks.pt", transform="log10(x)", sample=SAMPLE)
    yield spectrum_figure(spectra(rng), sample=SAMPLE)
    yield validation_figure(report(), sample=SAMPLE)
    yield validation_figure(report(1e-20), sample=SAMPLE)
    yield multiplicity_figure(counts, group="tracks", length=6, sample=SAMPLE)
    yield multiplicity_figure(counts, group="tracks", length=None, sample=SAMPLE)
    yield correlation_figure(
        matrix, names, title="tracks of jet", number=100, sample=SAMPLE
    )  # fmt: skip


def texts(figure):
    lines = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        lines += [text.get_text() for text in axes.texts]
    for legend in figure.legends:
        lines += [legend.get_title().get_text(), *(t.get_text() for t in legend.get_texts())]
    return "\n".join(lines)


def test_every_figure_states_sample_selection_weights_and_number(physical):
    for figure, points in figures(physical):
        text = texts(figure)
        selection = "all splits" if "tests" in points else "training split"
        for part in ("tauopt", f"demo, {selection}", "weight", "N = "):
            assert part in text
        json.dumps(points, allow_nan=False)


def test_all_text_lies_inside_the_figure(physical):
    for figure, _ in figures(physical):
        figure.canvas.draw()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height


@pytest.mark.parametrize("classes", [2, 18])
def test_panels_labels_and_legend_lie_beside_each_other(classes):
    rng = np.random.default_rng(4)
    many = {
        f"a_class_named_{n}": WeightedValues(rng.normal(size=50), np.ones(50))
        for n in range(classes)
    }
    sums = {"sums": [1e9] + [1.0] * 41, "squares": [1.0] * 42}
    wide = {
        "variable": "pt",
        "edges": np.geomspace(20, 500, 41).tolist(),
        "classes": {name: {"candidates": 50, "before": sums, "after": sums} for name in many},
    }
    for figure, _ in (
        feature_figure(many, many, name="tracks.pt", transform="x", sample=SAMPLE),
        spectrum_figure(wide, sample=SAMPLE),
    ):
        figure.canvas.draw()
        left, right = figure.axes
        assert right.yaxis.get_tightbbox().x0 > left.get_window_extent().x1 + 5
        legend = figure.legends[0].get_window_extent()
        assert legend.y0 > left.get_window_extent().y1
        assert legend.width < figure.bbox.width
        assert figure.get_tightbbox().x0 >= 0


def test_points_of_a_feature_are_fractions_with_both_overflows(physical):
    _, points = feature_figure(
        physical, physical, name="tracks.pt", transform="x", sample=SAMPLE
    )  # fmt: skip
    for panel in ("physical", "seen"):
        edges = points[panel]["edges"]
        for name, histogram in points[panel]["classes"].items():
            assert len(histogram["fraction"]) == len(edges) - 1
            assert sum(histogram["fraction"]) == pytest.approx(1.0, abs=1e-4)
            weights, x = physical[name].weights, physical[name].values
            over = weights[x >= edges[-2]].sum() / weights.sum()
            assert histogram["fraction"][-1] == pytest.approx(over, abs=1e-4)


def test_multiplicities_state_the_fraction_of_candidates_that_lose_objects():
    counts = {"jet": WeightedValues(np.array([0, 1, 2, 3, 9]), np.ones(5))}
    figure, points = multiplicity_figure(counts, group="tracks", length=3, sample=SAMPLE)
    assert points["whole"]["3"] == pytest.approx(0.8)
    assert "kept: 3 (line); 20 % of the candidates have more" in texts(figure)


@pytest.mark.parametrize(
    ("transform", "constants", "expected"),
    [
        ({}, {}, "x"),
        ({"divide": 0.4}, {}, "x / 0.4"),
        ({"scale": "minmax"}, {"spread": 17.0}, "x / 17"),
        (
            {"abs": True, "max": 30, "scale": "standard"},
            {"shift": 2.0, "spread": 3.0},
            "(min(|x|, 30) − 2) / 3",
        ),
        (
            {"min": 0.1, "offset": 1e-6, "log10": True},
            {"shift": -1.5, "spread": 0.5, "clip": (-3.0, 2.0)},
            "(clip(log10(max(x, 0.1) + 1e-06), -3, 2) + 1.5) / 0.5",
        ),
    ],
)
def test_the_axis_shows_the_network_input_as_a_formula(transform, constants, expected):
    feature = FittedFeature(name="x", transform=Transform(**transform), **constants)
    assert formula(feature) == expected


def candidates(rng, count=200):
    fitted = FittedGroup(
        name="tracks", features=(FittedFeature(name="pt", transform=Transform()),)
    )  # fmt: skip
    owner = np.repeat(np.arange(count), rng.poisson(2, count))
    track = rng.normal(size=(len(owner), 1))
    features = rng.normal(size=(count, 1))
    candidate_group = fitted.model_copy(update={"name": "candidate"})
    return DrawnCandidates(
        classes=("jet", "tau", "absent"),
        labels=rng.integers(0, 2, count),
        weights=np.ones(count),
        own=DrawnObjects(candidate_group, features, features, np.arange(count)),
        groups=[DrawnObjects(fitted, track, track, owner)],
    )


def test_a_book_has_a_page_a_png_and_points_of_each_figure(tmp_path):
    drawn_candidates = candidates(np.random.default_rng(3))
    drawn = pages(drawn_candidates, lengths={}, spectra=[], validation=report(), sample=SAMPLE)
    files = save_book(drawn, tmp_path, name="data")
    names = {path.name for path in files}
    pictures = {path.stem for path in files if path.suffix == ".png"}
    assert files[0].name == "data.pdf"
    assert files[0].read_bytes().count(b"/Type /Page ") == len(pictures)
    assert len(pictures) == number_of_pages(drawn_candidates, balanced=0, validated=True)
    assert {"feature-tracks-pt.json", "multiplicity-tracks.png", "validation.png"} <= names
    assert "correlation-tracks-tau.png" in names
    assert not any("absent" in name for name in names)


def test_the_validation_names_the_smallest_p_value_and_counts_the_tests():
    figure, points = validation_figure(report(1e-7), sample=SAMPLE)
    assert "\n1e-07: candidate.pt, train-00001\n" in texts(figure)
    assert points["tests"] == len(points["splits"]["train"]["p"]) == 121
    assert points["splits"]["train"]["p"][0] == 1e-7
    assert sum(points["splits"]["train"]["share"]) == pytest.approx(1.0, rel=1e-5)
    with pytest.raises(ValueError, match="got none"):
        validation_figure({"tests": 0, "level": 1e-4, "splits": {}}, sample=SAMPLE)
