"""A user's compiled HyperModel is trained with its own optimizer and loss."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tauopt.dataset.network_inputs import input_spec
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import UsageError
from tauopt.metrics.predictions import Predictions
from tauopt.models.hypermodel.hypermodel_network import build, settle
from tauopt.models.hypermodel.recording_hyperparameters import answer_default, answer_within
from tauopt.models.model_file import load_model
from tauopt.stream.batches import batches
from tauopt.training import precision
from tauopt.training.network_and_data import TrialData
from tauopt.training.train_trial import run_trial
from tests.prepared_factory import prepared_dataset
from tests.training.toys import NETWORKS, Recorder, plan

LENGTHS = {"tracks": 3}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=800, chunk_size=170)


@pytest.fixture(scope="module")
def planned(dataset, tmp_path_factory):
    """Plan a trial of one of the examples, with its hyperparameters settled."""
    folder = tmp_path_factory.mktemp("trials")

    def make(name, place, **training):
        NETWORKS["own"] = {
            "type": f"tests.hypermodels.examples:{name}",
            "groups": {group: {"length": length} for group, length in LENGTHS.items()},
        }
        the_plan = plan(dataset, folder / place, network="own", **training)
        experiment = the_plan.experiment
        spec = input_spec(open_dataset(dataset).manifest, experiment.task, LENGTHS)
        own = experiment.model
        model = settle(own, build(own, spec, answer_within({}, answer_default), seed=0))
        return replace(the_plan, experiment=experiment.model_copy(update={"model": model}))

    yield make
    del NETWORKS["own"]


def train(the_plan):
    tracker = Recorder()
    return list(run_trial(the_plan, tracker=tracker)), tracker


@pytest.fixture(scope="module")
def squared(planned):
    """A finished trial and its reports."""
    the_plan = planned("squared", "squared", epochs=4)
    return the_plan, train(the_plan)[0]


def test_a_trial_trains_by_the_models_own_learning_rate_and_improves(squared):
    _, reports = squared
    losses = [report.metrics["val_loss"] for report in reports]
    assert [report.metrics["learning_rate"] for report in reports] == pytest.approx([0.02] * 4)
    assert losses[-1] < losses[0] < 0.5
    assert reports[-1].metrics["auc"] > 0.7


def test_labels_become_indices_for_a_sparse_loss(planned):
    reports, _ = train(planned("Sparse", "sparse", epochs=4))
    assert [report.metrics["learning_rate"] for report in reports] == pytest.approx([0.01] * 4)
    assert reports[-1].metrics["loss"] < reports[0].metrics["loss"] < 1.0
    assert reports[-1].metrics["auc"] > 0.8


def test_the_validation_loss_is_the_models_own(squared, dataset):
    the_plan, reports = squared
    result = json.loads((the_plan.folder / "result.json").read_text())
    report = reports[result["best_report"] - 1]
    data = TrialData(open_dataset(dataset), the_plan.experiment, the_plan.seed)
    found = Predictions.load(the_plan.folder / "predictions.npz")
    weights = found.weights * data.class_weights[found.labels]
    squared = (found.probabilities[:, 1] - (found.labels == 1)) ** 2
    expected = np.average(squared, weights=weights)
    assert report.metrics["val_loss"] == pytest.approx(expected, rel=1e-3)


def test_an_interrupted_trial_ends_with_the_same_model(squared, planned):
    _, expected = squared
    broken = planned("squared", "broken", epochs=4)
    reports = run_trial(broken, tracker=Recorder())
    next(reports)
    reports.close()
    resumed, _ = train(broken)
    assert resumed[-1].metrics["val_loss"] == expected[-1].metrics["val_loss"]
    assert resumed[-1].value == expected[-1].value


def test_the_saved_model_loads_in_safe_mode_and_says_what_was_recorded(squared, dataset):
    the_plan, _ = squared
    result = json.loads((the_plan.folder / "result.json").read_text())
    model = load_model(the_plan.folder / "best.keras", sha256=result["model_sha256"])
    data = TrialData(open_dataset(dataset), the_plan.experiment, the_plan.seed)
    stored = batches(
        data.dataset.validation, spec=data.spec, label_map=data.label_map, batch_size=160,
        shuffle=False,
    )  # fmt: skip
    found = np.concatenate([np.asarray(model(batch.inputs)["probabilities"]) for batch in stored])
    recorded = Predictions.load(the_plan.folder / "predictions.npz")
    np.testing.assert_allclose(found, recorded.probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "training", "rate"),
    [("squared", {}, 0.02), ("Towers", {"optimizer": "adamw", "learning_rate": 0.03}, 0.03)],
)
def test_a_hypermodel_is_averaged_and_trained_in_half_precision(
    planned, monkeypatch, name, training, rate
):
    """A model without optimizer is trained with the file's settings."""
    monkeypatch.setattr(precision, "gpus", lambda: ["of a test"])
    the_plan = planned(name, f"half {name}", epochs=3, ema=0.9, precision="mixed", **training)
    reports, _ = train(the_plan)
    assert reports[-1].metrics["auc"] > 0.6
    assert reports[-1].metrics["learning_rate"] == pytest.approx(rate)


def test_another_network_does_not_go_on_from_the_checkpoint(squared):
    the_plan, _ = squared
    model = the_plan.experiment.model.model_copy(update={"architecture": "a" * 64})
    other = replace(the_plan, experiment=the_plan.experiment.model_copy(update={"model": model}))
    with pytest.raises(UsageError, match=r"model\.architecture: was '\w+', is 'a+'"):
        train(other)
