"""Comparisons of real, tiny networks in a real MLflow store; one file, since imports are slow."""

import json
import sys

import pytest

from tauopt.cli import app
from tauopt.errors import DataError, UsageError
from tauopt.workflows.compare import compare
from tests.evaluation.trials import DECAY_MODES, MODES, changed, experiment, train
from tests.undrawn import rendered


@pytest.fixture(scope="module")
def folders(tmp_path_factory, dataset):
    """Three trials: a better one, one that has learned nothing, one of six classes."""
    place = tmp_path_factory.mktemp("trials")
    settings = {
        "good": experiment(epochs=6, learning_rate=0.01),
        "bad": experiment(epochs=1, learning_rate=1e-9),
        "modes": experiment(epochs=4, learning_rate=0.01, task=MODES),
    }
    return {name: str(train(place / name, dataset, one)) for name, one in settings.items()}


@pytest.fixture(scope="module")
def result(folders, output, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        to = tmp_path_factory.mktemp("compared")
        with rendered():
            return compare(
                [folders["bad"], folders["good"], folders["modes"]], to=to, output=output
            )


def test_a_comparison_says_what_differs_and_that_it_is_real(result):
    assert len(result.comparison.names) == 3
    assert result.differences["training.learning_rate"] == [1e-9, 0.01, 0.01]
    assert "training.batch_size" not in result.differences
    assert "tracking.experiment" not in result.differences
    line = next(x for x in result.comparison.lines if (x.candidates, x.metric) == ("all", "auc"))
    good = line.others[0]
    assert good.low > 0
    assert good.p_holm < 0.05
    assert result.candidates["signal"] > 100
    # Accuracies of two and of six classes say nothing of each other.
    accuracy = next(x for x in result.comparison.lines if x.metric == "accuracy")
    assert accuracy.others[0].difference is not None
    assert accuracy.others[1].difference is None


def test_the_folder_holds_figures_points_tables_and_a_report(result):
    names = {path.name for path in result.folder.iterdir()}
    assert {"report.md", "compare.csv", "compare.json", "figures.pdf", "training.png"} <= names
    assert {"roc.png", "roc_1p.json", "rejection_pt.png", "rejection_mu_3p.json"} <= names
    report = (result.folder / "report.md").read_text()
    assert "| `training.learning_rate` | 1e-09 | 0.01 | 0.01 |" in report
    assert "McNemar" in report
    assert "![roc](roc.png)" in report
    points = json.loads((result.folder / "roc.json").read_text())
    assert points["ratio"]["to"] == result.comparison.names[0]
    assert set(points["ratio"]["of"]) == set(result.comparison.names[1:])


def test_the_same_comparison_has_the_same_numbers(result, folders, output, tmp_path):
    again = compare([folders["bad"], folders["good"], folders["modes"]], to=tmp_path, output=output)
    assert again.comparison == result.comparison


def test_the_command_line_prints_what_it_found(folders, output, tmp_path, monkeypatch, capfd):
    words = ["tauopt", "compare", folders["good"], folders["bad"], "-o", str(output)]
    monkeypatch.setattr(
        sys,
        "argv",
        [*words, "--to", str(tmp_path), "--json", "--efficiency", "0.5,0.9", "--efficiency", "0.5"],
    )
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert not ended.value.code
    printed = json.loads(capfd.readouterr().out)
    assert printed["differences"]["training.learning_rate"] == [0.01, 1e-9]
    rates = {line["metric"] for line in printed["lines"]} - {"auc", "accuracy", "balanced_accuracy"}
    assert rates == {"rejection@0.5", "rejection@0.9", "rejection@0.6"}  # the last: objective
    assert {"rejection_mu_at_0.5_1p.png", "rejection_mu_at_0.9.json"} <= set(printed["files"])
    assert printed["lines"][0]["others"][0]["p_holm"] == printed["lines"][0]["others"][0]["p_value"]


def test_what_can_not_be_compared_is_refused_with_the_reason(
    folders, output, dataset, tmp_path, client
):
    with pytest.raises(UsageError, match="expected 2 to 6 trials to compare, got 1"):
        compare([folders["good"]], output=output)
    with pytest.raises(UsageError, match="--efficiency 70: expected"):
        compare([folders["good"], folders["bad"]], output=output, efficiencies=[70])
    with pytest.raises(UsageError, match="named twice"):
        compare([folders["good"], folders["good"]], output=output)
    with pytest.raises(UsageError, match="no run"):
        compare([folders["good"], "ffff"], output=output)
    other = changed(
        train(tmp_path / "x", dataset, experiment(epochs=1)),
        tmp_path / "y",
        dataset_digest="0" * 64,
    )
    with pytest.raises(DataError, match="trained on different datasets"):
        compare([folders["good"], str(other)], output=output)
    modes = train(
        tmp_path / "z", dataset, experiment(epochs=1, task=DECAY_MODES, objective="accuracy")
    )
    with pytest.raises(DataError, match="means something else by signal"):
        compare([folders["good"], str(modes)], output=output)
