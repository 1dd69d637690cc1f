"""Every kind of task trains, has the metrics that apply to it, and saves its scores."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tauopt.config.settings.experiment import Objective, Task
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.metrics.predictions import Predictions
from tauopt.models.model_file import load_model
from tauopt.training.network_and_data import TrialData
from tauopt.training.train_trial import run_trial
from tests.prepared_factory import CLASSES, SIGNAL, prepared_dataset
from tests.training.toys import Recorder, plan
from tests.undrawn import with_figures

LEPTONS = ("jet", "e", "mu", "1p0n", "1p1n", "3p0n")
"""Names of six kinds of candidates, for a task with leptons too."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=1200, chunk_size=300)


def each(*classes):
    return {name: (name,) for name in classes}


def planned(dataset, folder, *, task, objective="accuracy", network="dense", **training):
    the_plan = plan(dataset, folder, network=network, **{"learning_rate": 0.02} | training)
    changed = {"task": task, "objective": Objective(maximize=objective)}
    return replace(the_plan, experiment=the_plan.experiment.model_copy(update=changed))


def trained(dataset, folder, **settings):
    """Return the reports, the result and the predictions of a trial, and its saved model."""
    the_plan = planned(dataset, folder, **settings)
    reports = list(run_trial(the_plan, tracker=Recorder()))
    result = json.loads((folder / "result.json").read_text())
    model = load_model(folder / "best.keras", sha256=result["model_sha256"])
    return reports, result, Predictions.load(folder / "predictions.npz"), model


def outputs(model, dataset, the_plan):
    data = TrialData(open_dataset(dataset), the_plan.experiment, 1)
    return model(next(data.validation()).inputs, training=False)


def test_decay_modes_of_true_taus_are_classified_without_background(dataset, tmp_path):
    task = Task(classes=each(*SIGNAL))
    assert task.signal == SIGNAL
    with with_figures():
        reports, result, predictions, model = trained(dataset, tmp_path, task=task, epochs=15)
    assert reports[-1].best > 0.3  # by chance 0.2
    assert {"accuracy", "balanced_accuracy", "accuracy/1p"} <= set(result["metrics"])
    assert not {"auc", "rejection@0.75"} & set(result["metrics"])
    assert "auc" not in reports[-1].metrics
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"confusion", "training"}
    assert predictions.classes == SIGNAL
    assert set(model.output) == {"probabilities"}


@pytest.mark.parametrize("objective", ["balanced_accuracy/1p", "neg_log_loss"])
def test_decay_modes_can_be_searched_by_metrics_without_background(dataset, tmp_path, objective):
    task = Task(classes=each(*SIGNAL), signal=SIGNAL)
    reports, result, _, _ = trained(
        dataset, tmp_path, task=task, objective=objective, class_balance="none"
    )
    assert result["value"] == max(report.value for report in reports)
    assert result["metrics"][objective][0] == result["value"]
    if objective == "neg_log_loss":  # minus what Keras's loss says of the validation split
        best = max(reports, key=lambda report: report.value)
        assert best.value == pytest.approx(-best.metrics["val_loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("heads", "training"),
    [
        pytest.param("one", {"loss": "focal"}, marks=pytest.mark.slow),
        ("one", {"mode_weight": 0.5}),
        pytest.param("two", {}, marks=pytest.mark.slow),
        ("two", {"mode_weight": 3.0, "loss": "focal", "label_smoothing": 0.05}),
    ],
)
def test_fakes_and_decay_modes_are_classified_together(dataset, tmp_path, heads, training):
    task = Task(classes=each(*CLASSES), signal=SIGNAL, heads=heads)
    reports, result, predictions, model = trained(
        dataset, tmp_path, task=task, objective="rejection@0.6", epochs=4, **training
    )
    losses = [report.metrics["val_loss"] for report in reports]
    assert losses[-1] < losses[0]
    assert result["metrics"]["auc"][0] > 0.85
    assert result["metrics"]["accuracy"][0] > 0.5
    found = outputs(model, dataset, planned(dataset, tmp_path, task=task))
    assert set(found) == {"probabilities", "signal_score", "mode_scores"}
    p = np.asarray(found["probabilities"])
    np.testing.assert_allclose(found["signal_score"], p[:, 1:].sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        found["mode_scores"], p[:, 1:] / p[:, 1:].sum(axis=1, keepdims=True), rtol=1e-5
    )
    np.testing.assert_allclose(p, predictions.probabilities[: len(p)], rtol=1e-4, atol=1e-6)


def test_the_validation_loss_is_the_training_loss_on_the_same_candidates(dataset, tmp_path):
    """In two parts, with class weights: numpy's loss against Keras's own evaluation."""
    from tauopt.training.network_and_data import Trainer

    task = Task(classes=each(*CLASSES), signal=SIGNAL, heads="two")
    the_plan = planned(dataset, tmp_path, task=task, mode_weight=2.0)
    data = TrialData(open_dataset(dataset), the_plan.experiment, 1)
    trainer = Trainer(data.spec, the_plan.experiment, seed=1, candidates=1000)
    predictions = data.predictions(trainer.predict(data, alive=lambda: None))
    stored = list(data.validation())
    weights = predictions.weights * data.class_weights[predictions.labels]
    loss = trainer.model.loss.call(
        np.eye(6, dtype=np.float32)[predictions.labels],
        np.concatenate([trainer.network(batch.inputs) for batch in stored]),
    )
    expected = np.average(np.asarray(loss), weights=weights)
    assert data.loss(predictions) == pytest.approx(expected, rel=1e-5)


def test_electrons_muons_taus_and_jets_get_a_discriminator_against_each(tmp_path):
    """As DeepTau: tau / (tau + jet), and likewise for e and mu."""
    dataset = prepared_dataset(tmp_path, candidates=1200, chunk_size=300, classes=LEPTONS)
    taus = {"e": ("e",), "mu": ("mu",), "tau": LEPTONS[3:], "jet": ("jet",)}
    task = Task(classes=taus, signal=("tau",))
    folder = tmp_path / "trial"
    reports, result, _, model = trained(
        dataset, folder, task=task, objective="rejection@0.75", network="of_all_kinds", epochs=3
    )
    assert result["metrics"]["accuracy"][0] > 0.5
    assert reports[-1].metrics["val_loss"] < reports[0].metrics["val_loss"]
    the_plan = planned(dataset, folder, task=task, network="of_all_kinds")
    found = outputs(model, dataset, the_plan)
    names = {"against_e", "against_mu", "against_jet"}
    assert set(found) == {"probabilities", "signal_score"} | names
    p = dict(zip(taus, np.asarray(found["probabilities"]).T, strict=True))
    np.testing.assert_allclose(found["signal_score"], p["tau"], rtol=1e-5)
    for name in ("e", "mu", "jet"):
        expected = p["tau"] / (p["tau"] + p[name])
        np.testing.assert_allclose(found[f"against_{name}"], expected, rtol=1e-5)


def test_a_class_without_candidates_is_an_error_before_training(dataset, tmp_path):
    lacking = prepared_dataset(tmp_path, candidates=40, chunk_size=20, seed=4)
    task = Task(classes=each(*CLASSES), signal=SIGNAL)
    with pytest.raises(DataError, match="split holds no candidate of task class"):
        next(run_trial(planned(lacking, tmp_path / "t", task=task), tracker=Recorder()))
    assert not (tmp_path / "t").exists()
