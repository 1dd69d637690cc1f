import json

import numpy as np
import pytest

from tauopt.config.settings.working_point_settings import WorkingPointSettings
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.closure_figure import closure_figure
from tauopt.figures.save_figure import save_figure
from tauopt.metrics.working_points.closure import closure
from tauopt.metrics.working_points.working_point_set import derive
from tests.metrics.working_points.tau_sample import taus_and_jets

SAMPLE = SampleLabel("toy", "test split")


@pytest.fixture(scope="module")
def closures():
    rng = np.random.default_rng(31)
    sample, other = (taus_and_jets(rng, signal=6000, background=3000) for _ in range(2))
    return closure(derive(sample, WorkingPointSettings()), other, rng=rng)


def test_the_figure_has_a_column_for_each_variable_and_its_points_as_json(closures, tmp_path):
    figure, points = closure_figure(closures["1p"], prongs="1p", sample=SAMPLE)
    assert len(figure.axes) == 4
    files = save_figure(figure, points, tmp_path, name="closure_1p")
    read = json.loads(files[-1].read_text())
    assert set(read["variables"]) == {"pt", "mu"}
    tight = read["variables"]["pt"]["points"]["tight"]
    assert len(tight["efficiency"]["value"]) == len(read["variables"]["pt"]["edges"]) - 1
    assert tight["wanted"] == 0.6
    assert read["whole"]["tight"]["freedom"] == 1


def test_the_legend_states_chi_square_and_p_value(closures):
    figure, _ = closure_figure(closures["3p"], prongs="3p", sample=SAMPLE)
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    closed = closures["3p"].bins["pt"]["medium"]
    assert texts[1] == (
        f"medium 75 %: χ²/{closed.freedom} = {closed.chi_square / closed.freedom:.1f}, "
        f"p = {closed.p_value:.2g}"
    )
    text = " ".join(text.get_text() for text in figure.texts)
    assert "toy, test split, 3-prong" in text
    assert f"N = {closures['3p'].counts[0]:,} signal" in text


def test_without_spectators_there_is_nothing_to_draw():
    rng = np.random.default_rng(32)
    sample = taus_and_jets(rng, signal=3000, background=500)
    bare = sample.__class__(
        sample.probabilities, sample.labels, sample.weights,
        classes=sample.classes, signal=sample.signal,
    )  # fmt: skip
    part = closure(derive(bare, WorkingPointSettings()), bare, rng=rng)["all"]
    assert closure_figure(part, prongs="all", sample=SAMPLE) is None
