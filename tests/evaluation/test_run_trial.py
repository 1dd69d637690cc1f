"""Evaluation of real, tiny networks in a real MLflow store; one file, since imports are slow."""

import csv
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from tauopt.cli import app
from tauopt.config.settings.working_point_settings import WorkingPointSettings
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import UsageError
from tauopt.evaluation.find_trial import find_trial
from tauopt.evaluation.recorded_trial import history
from tauopt.evaluation.run_trial import run_on
from tauopt.evaluation.split_candidates import SplitCandidates
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import auc, roc
from tauopt.metrics.working_points.working_point_set import FILE, derive
from tauopt.workflows.evaluate import FOLDER, evaluate
from tauopt.workflows.promote import promote
from tests.evaluation.trials import DECAY_MODES, MODES, experiment, shipped, train
from tests.undrawn import rendered

FEW = {"importance": 0, "bins": ["mu"]}
"""Options of an evaluation that draws few figures, to be quick."""


@pytest.fixture(scope="module")
def good(tmp_path_factory, dataset):
    settings = experiment(epochs=6, learning_rate=0.01)
    return train(tmp_path_factory.mktemp("good") / "t000", dataset, settings)


@pytest.fixture(scope="module")
def run_id(client, output, good, tmp_path_factory):
    copy = shutil.copytree(good, tmp_path_factory.mktemp("copy") / "t000")
    return shipped(client, output, copy)


@pytest.fixture(scope="module")
def bad(tmp_path_factory, dataset):
    settings = experiment(epochs=1, learning_rate=1e-9, task=MODES, objective="accuracy")
    return train(tmp_path_factory.mktemp("bad") / "t001", dataset, settings)


@pytest.fixture(scope="module")
def evaluation(run_id, output, bad):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with rendered():
            return evaluate(run_id[:10], reference=str(bad), output=output)


def run_command(capfd, monkeypatch, *arguments):
    """Run the command line in this process; return its exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["tauopt", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return ended.value.code or 0, *capfd.readouterr()


def number(evaluation, metric, candidates="all"):
    (row,) = [r for r in evaluation.rows if (r.metric, r.candidates) == (metric, candidates)]
    return row


def test_the_numbers_are_those_of_promote(run_id, output, evaluation):
    verdict = promote(run_id, output=output)
    assert evaluation.candidates == verdict.candidates
    for metric in ("auc", "rejection@0.75", "accuracy"):
        assert number(evaluation, metric).value.triple == verdict.test[metric]
        assert number(evaluation, "auc", "3-prong").value.triple == verdict.test["auc/3p"]


def test_figures_come_as_png_and_pdf_with_their_points_and_tables(evaluation):
    names = {path.name for path in evaluation.files}
    for figure in ("roc", "roc_1p", "roc_3p", "scores", "efficiency_pt_1p", "rejection_mu_3p",
                   "flatness_1p", "confusion_by_true", "confusion_by_predicted", "calibration",
                   "training", "importance_groups", "importance_features"):  # fmt: skip
        assert {f"{figure}.png", f"{figure}.pdf", f"{figure}.json"} <= names
    assert {"table.csv", "table.md", "evaluation.json"} <= names
    assert all(
        path.parent == evaluation.folder and path.stat().st_size for path in evaluation.files
    )
    lines = list(csv.DictReader((evaluation.folder / "table.csv").read_text().splitlines()))
    assert [line["metric"] for line in lines] == [row.metric for row in evaluation.rows]
    assert json.loads((evaluation.folder / "evaluation.json").read_text()) == evaluation.as_json()


def test_a_rerun_replaces_what_was_logged(client, run_id, output, evaluation):
    listed = {file.path for file in client.list_artifacts(run_id, FOLDER)}
    assert listed == {f"{FOLDER}/{path.name}" for path in evaluation.files}
    evaluate(run_id, output=output, select="prongs == 1", **FEW)
    listed = {file.path for file in client.list_artifacts(run_id, FOLDER)}
    assert f"{FOLDER}/roc_1p.png" in listed
    for name in ("roc_3p", "importance_groups", "efficiency_pt_1p"):
        assert f"{FOLDER}/{name}.png" not in listed
    assert not (evaluation.folder / "roc_3p.png").exists()


def test_importances_are_of_every_group_and_feature_and_training_curves_of_every_report(
    good, output, tmp_path, client, run_id
):
    evaluation = evaluate(str(good), output=output, to=tmp_path, importance=500, bins=["mu"])
    points = json.loads((evaluation.folder / "importance_features.json").read_text())
    assert len(points["names"]) == 7
    assert "candidate.mass_trk_sys" in points["names"]
    assert "N = " in points["note"]
    curves = json.loads((evaluation.folder / "training.json").read_text())
    reports = json.loads((good / "result.json").read_text())["reports"]
    assert len(curves["loss"]) == reports
    by_run = history(client, find_trial(client, run_id, folder=tmp_path / "t"))
    assert [one["loss"] for one in by_run] == curves["loss"]


def test_a_worse_reference_is_found_worse(evaluation):
    row = number(evaluation, "auc")
    assert evaluation.reference
    assert row.sigma > 3
    assert row.p_value < 0.01


def test_a_spectator_is_a_reference_too(good, output, tmp_path, dataset):
    more = {"efficiencies": [0.8, 0.3], **FEW}
    evaluation = evaluate(str(good), reference="pt", to=tmp_path / "here", output=output, **more)
    assert evaluation.folder == tmp_path / "here"
    assert not evaluation.run_id
    split = open_dataset(dataset).sealed_test(opened_by="the test")
    columns = split.columns(["labels", "weights", "pt"])
    curve = roc(columns["pt"], columns["labels"] > 0, columns["weights"].astype(np.float64))
    assert number(evaluation, "auc").reference.value == pytest.approx(auc(curve).value)
    # Working points and rejections are at the efficiencies asked for, flat as the model's own are.
    metrics = {row["metric"] for row in evaluation.as_json()["metrics"]}
    rates = {name for name in metrics if "@" in name or name.startswith("efficiency of")}
    asked = {"rejection@0.3", "rejection@0.8", "efficiency of 30 %", "efficiency of 80 %"}
    assert rates == asked | {"rejection@0.6"}  # the objective
    assert number(evaluation, "efficiency of 30 %").value.value == pytest.approx(0.3, abs=0.06)
    assert evaluation.as_json()["efficiencies"] == [0.3, 0.8]
    for figure in ("roc", "efficiency_mu_1p"):
        drawn = json.loads((evaluation.folder / f"{figure}.json").read_text())
        points = drawn["curves"] if figure == "roc" else drawn["values"]
        for one in points.values():
            assert list(one.get("working_points", one)) == ["30 %", "80 %"]


def test_scores_of_a_file_are_a_reference_for_the_candidates_that_they_know(
    good, output, tmp_path, dataset
):
    columns = (
        open_dataset(dataset)
        .sealed_test(opened_by="the test")
        .columns(["labels", "weights", "event_numbers", "mu"])
    )
    known = np.arange(len(columns["mu"])) % 3 > 0
    lines = [f"{event},{mu}" for event, mu in zip(columns["event_numbers"][known],
                                                  columns["mu"][known], strict=True)]  # fmt: skip
    (tmp_path / "theirs.csv").write_text("\n".join(["event_number,score", *lines]))
    evaluation = evaluate(
        str(good), reference=str(tmp_path / "theirs.csv"), output=output, to=tmp_path / "to", **FEW
    )
    assert evaluation.reference == "theirs"
    assert sum(evaluation.candidates.values()) == known.sum()
    weights = columns["weights"][known].astype(np.float64)
    curve = roc(columns["mu"][known], columns["labels"][known] > 0, weights)
    assert number(evaluation, "auc").reference.value == pytest.approx(auc(curve).value, abs=1e-6)


def test_select_keeps_candidates_by_their_spectators(good, output, tmp_path, dataset):
    evaluation = evaluate(
        str(good), select="pt > 25000 && event_number % 2 == 0", output=output, to=tmp_path, **FEW
    )
    split = open_dataset(dataset).sealed_test(opened_by="the test")
    columns = split.columns(["labels", "pt", "event_numbers"])
    kept = (columns["pt"] > 25000) & (columns["event_numbers"] % 2 == 0)
    assert evaluation.candidates["signal"] == (kept & (columns["labels"] > 0)).sum()
    assert "pt > 25000" in evaluation.sample


def test_working_points_are_those_recorded_or_derived_on_the_validation_split(
    good, output, client, tmp_path, dataset
):
    split = open_dataset(dataset).sealed_test(opened_by="the test")
    columns = split.columns(["labels", "weights"])
    taus = columns["labels"] > 0
    trial = find_trial(client, str(good), folder=tmp_path / "t")
    predictions = run_on(SplitCandidates(open_dataset(dataset), split), trial).predictions
    derived = derive(Predictions.load(good / "predictions.npz"), trial.experiment.working_points)
    evaluation = evaluate(str(good), reference="pt", output=output, to=tmp_path / "to", **FEW)
    passed = derived.passes(predictions.score, predictions.columns)
    for name in derived.names:
        row = number(evaluation, f"efficiency of {name}")
        expected = np.average(passed[name][taus], weights=columns["weights"][taus])
        assert row.value.value == pytest.approx(expected, abs=2e-3)
        assert row.reference.value == pytest.approx(row.value.value, abs=0.01)
    drawn = json.loads((evaluation.folder / "efficiency_mu_1p.json").read_text())
    assert tuple(drawn["values"]["t000-dense"]) == derived.names

    run_id = shipped(client, output, shutil.copytree(good, tmp_path / "again"))
    one = WorkingPointSettings(points={"only": {"efficiency": 0.8}})
    recorded = replace(derive(predictions, one), origin={"model_sha256": trial.sha256})
    (tmp_path / FILE).write_text(json.dumps(recorded.as_json()))
    client.log_artifact(run_id, str(tmp_path / FILE), "promotion")
    evaluation = evaluate(run_id, output=output, to=tmp_path / "recorded", **FEW)
    assert number(evaluation, "efficiency of only").value.value == pytest.approx(0.8, abs=0.01)


def test_plain_cuts_stand_in_where_working_points_cannot_be_derived(output, tmp_path, dataset):
    beyond = WorkingPointSettings(points={"clean": {"rejection": 1e6}})
    settings = experiment().model_copy(update={"working_points": beyond})
    trial = train(tmp_path / "t000", dataset, settings)
    evaluation = evaluate(str(trial), output=output, to=tmp_path / "to", **FEW)
    assert number(evaluation, "efficiency of 60 %").value.value == pytest.approx(0.6, abs=0.03)


def test_a_task_without_background_has_accuracies_only(tmp_path, dataset, output):
    modes = train(tmp_path / "t000", dataset, experiment(task=DECAY_MODES, objective="accuracy"))
    evaluation = evaluate(str(modes), output=output, to=tmp_path / "to")
    assert {row.metric for row in evaluation.rows} == {"accuracy", "balanced_accuracy"}
    assert evaluation.candidates["background"] == 0
    with pytest.raises(UsageError, match="has no background, and so no rejections"):
        evaluate(str(modes), output=output, to=tmp_path / "to", efficiencies=[0.5])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["0123abcd"], 2, "no run id begins with"),
        (["{good}", "--select", "muu > 30"], 2, "did you mean 'mu'?"),
        (["{good}", "--select", "mu >"], 2, "ends too early"),
        (["{good}", "--bins", "pt,etaa"], 2, "did you mean 'eta'?"),
        (["{good}", "--select", "mu > 1e9"], 3, "keeps none of"),
        (["{good}", "--reference", "nothing-here"], 2, "no run id begins with"),
        (["{good}", "--reference", "prong"], 2, "did you mean 'prongs'?"),
        (["{good}", "--reference", "nothing.csv"], 2, "there is no such file"),
        (["{modes}", "--reference", "{good}"], 3, "means something else by signal or background"),
    ],
)
def test_impossible_evaluations_are_refused_with_the_reason(
    arguments, code, words, good, bad, capfd, monkeypatch, output, tmp_path, dataset
):
    places = {"good": good}
    if "{modes}" in arguments:
        settings = experiment(task=DECAY_MODES, objective="accuracy")
        places["modes"] = train(tmp_path / "t000", dataset, settings)
    filled = [word.format(**places) for word in arguments]
    ended, _, stderr = run_command(
        capfd, monkeypatch, "evaluate", *filled, "--output", output, "--to", tmp_path / "to"
    )
    assert (ended, words in stderr) == (code, True), stderr


def test_the_command_prints_numbers_with_errors_or_json(good, output, tmp_path, capfd, monkeypatch):
    words = ["evaluate", good, "--output", output, "--to", tmp_path, "--reference", "mu"]
    words += ["--importance", 0, "--bins", "mu"]
    code, stdout, stderr = run_command(capfd, monkeypatch, *words)
    assert code == 0
    for part in ("rejection@0.75", "±", "σ", str(tmp_path)):
        assert part in stdout
    assert "drawing roc" in stderr
    code, stdout, _ = run_command(capfd, monkeypatch, *words, "--json")
    assert (code, json.loads(stdout)["reference"]) == (0, "mu")
