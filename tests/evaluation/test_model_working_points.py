"""Working points of promoted models, on a real MLflow store with a real, tiny network."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.settings.working_point_settings import WorkingPointSettings
from tauopt.durable import sha256_file
from tauopt.errors import CorruptError, DataError
from tauopt.evaluation.find_trial import find_trial
from tauopt.evaluation.model_working_points import (
    derive_with_closure,
    recorded_points,
    working_points_of,
)
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.working_points.working_point_set import WorkingPoints, derive
from tauopt.prepare.direct_streaming import open_dataset
from tauopt.tracking.registry import champion
from tauopt.workflows.promote import promote
from tests.evaluation.trials import DECAY_MODES, changed, experiment, shipped, train

NAME = "points"
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, dataset):
    return train(tmp_path_factory.mktemp("good") / "t000", dataset, experiment(NAME))


@pytest.fixture(scope="module")
def run_id(client, output, folder):
    """The run of a trial that became the champion."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run_id = shipped(client, output, folder)
        promote(run_id, output=output)
    return run_id


def refuse():
    pytest.fail("the dataset is not needed")


def beside(client, version, folder):
    """The working points that lie beside the model of a version."""
    import mlflow

    path = mlflow.artifacts.download_artifacts(
        artifact_uri=f"{version.source}/data/working_points.json",
        dst_path=str(folder),
        tracking_uri=client.tracking_uri,
    )
    return WorkingPoints.from_json(json.loads(Path(path).read_text()))


def test_a_promotion_records_points_and_their_closure(client, run_id):
    files = {file.path for file in client.list_artifacts(run_id, "promotion")}
    assert {f"promotion/{name}" for name in (
        "working_points.json", "closure_1p.png", "closure_1p.json", "closure_3p.png",
    )} <= files  # fmt: skip


def test_the_version_keeps_the_points_beside_its_model(client, run_id, tmp_path):
    points = beside(client, champion(client, NAME), tmp_path)
    trial = find_trial(client, run_id, folder=tmp_path / "t")
    assert points.as_json() == recorded_points(client, trial).as_json()
    assert points.origin["model_sha256"] == trial.sha256
    assert points.origin["split"] == "validation"


def test_the_card_lists_cuts_efficiencies_and_closure(client, run_id):
    card = champion(client, NAME).description
    assert "Unweighted; 68 % statistical errors." in card  # as its dataset file says
    section = card.split("## Working points")[1].split("## Verdict")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 4 * 2  # a head, then four points for 1 and 3 prongs
    assert "flat in pt and mu" in section
    assert rows[1].startswith("| tight | 1 | `signal_score` | 0.")
    assert all("±" in row or " +" in row for row in rows[1:])
    assert "p in pt" in rows[0]


@pytest.mark.parametrize("reference", ["run", "models:/points@champion", "models:/points/1"])
def test_points_are_found_by_run_version_and_alias(client, run_id, reference, tmp_path):
    trial = find_trial(client, run_id if reference == "run" else reference, folder=tmp_path)
    points = working_points_of(client, trial, open_dataset=refuse)
    assert points.names == ("tight", "medium", "loose", "very_loose")


def test_points_of_a_trial_that_was_not_promoted_are_derived_anew(
    client, folder, dataset, tmp_path
):
    """The predictions that the trial stored give the same points: the model is all it takes."""
    to = changed(folder, tmp_path / "t001")
    trial = find_trial(client, str(to), folder=tmp_path)
    points = working_points_of(client, trial, open_dataset=lambda: open_dataset(dataset))
    predictions = Predictions.load(folder / "predictions.npz")
    expected = derive(predictions, WorkingPointSettings())
    ours, theirs = (
        derived.flattened(predictions.score, predictions.columns) for derived in (points, expected)
    )
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert points.origin["model_sha256"] == sha256_file(to / "best.keras")
    other = replace(trial, run_id="", dataset_digest="0" * 64)
    with pytest.raises(DataError, match="with digest 0000"):
        working_points_of(client, other, open_dataset=lambda: open_dataset(dataset))


def test_points_of_another_model_or_damaged_ones_are_refused(client, run_id, output, tmp_path):
    trial = find_trial(client, run_id, folder=tmp_path)
    with pytest.raises(CorruptError, match="belongs to a model with sha256"):
        recorded_points(client, replace(trial, sha256="0" * 64))
    place = output / "mlartifacts" / "tau-id" / run_id / "artifacts" / "promotion"
    path = place / "working_points.json"
    whole = path.read_text()
    try:
        for damaged in (whole[:-5], "[]", "\xff"):
            path.write_text(damaged, encoding="latin-1")
            with pytest.raises(CorruptError, match="is damaged"):
                recorded_points(client, trial)
    finally:
        path.write_text(whole)


def test_without_enough_signal_a_promotion_says_so_and_goes_on(folder, client, run_id, tmp_path):
    trial = find_trial(client, run_id, folder=tmp_path)
    whole = Predictions.load(folder / "predictions.npz")
    few = whole.where(np.arange(len(whole)) < 20)
    model_points = derive_with_closure(
        trial, validation=few, test=whole, rng=np.random.default_rng(1)
    )
    assert model_points.points is None
    assert "at least 20 signal candidates" in model_points.reason


def test_decay_modes_of_true_taus_have_no_working_points(client, dataset, output, tmp_path):
    settings = experiment("modes", task=DECAY_MODES, objective="accuracy")
    to = train(tmp_path / "t000", dataset, settings)
    run_id = shipped(client, output, to)
    promote(run_id, output=output)
    files = {file.path for file in client.list_artifacts(run_id, "promotion")}
    assert "promotion/working_points.json" not in files
    assert "## Working points" not in champion(client, "modes").description
    trial = find_trial(client, run_id, folder=tmp_path / "x")
    with pytest.raises(DataError, match="need background"):
        working_points_of(client, trial, open_dataset=lambda: open_dataset(dataset))
    shutil.rmtree(to)


def test_the_champion_gets_other_points_without_training(client, run_id, output, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(
        f"extends: {DATA / 'good_experiment.yaml'}\n"
        "working_points: {flat_in: [], points: {half: {efficiency: 0.5}}}\n"
    )
    before = champion(client, NAME)
    verdict = promote(run_id, working_points=path, output=output)
    assert verdict.outcome == "champion already"
    assert verdict.reason.startswith("its working points are half now")
    after = champion(client, NAME)
    assert (after.version, after.tags) == (before.version, before.tags)
    assert "| half | 1 |" in after.description
    trial = find_trial(client, run_id, folder=tmp_path / "t")
    assert recorded_points(client, trial).names == ("half",)
    assert beside(client, after, tmp_path).as_json() == recorded_points(client, trial).as_json()
