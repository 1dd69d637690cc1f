"""Constraints of a real, small training: what is measured, and which report is kept."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.models.model_file import load_model
from tauopt.stream.batches import batches
from tauopt.training.network_and_data import TrialData
from tauopt.training.train_trial import run_trial
from tests.prepared_factory import prepared_dataset
from tests.training.toys import Recorder, plan

LIMITS = {
    "overtraining": {"max": 0.9},
    "auc/3p": {"min": 0.01},
    "latency_us": {"max": 1e-3},
    "parameters": {"min": 1e6},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=1200)


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    folder, tracker = tmp_path_factory.mktemp("constrained") / "t", Recorder()
    the_plan = plan(
        dataset, folder, objective="auc", constraints=LIMITS, epochs=3, learning_rate=0.02
    )
    return the_plan, list(run_trial(the_plan, tracker=tracker)), tracker


def areas(the_plan):
    """The areas of the saved model on training and validation candidates, by sklearn."""
    data = TrialData(open_dataset(the_plan.dataset), the_plan.experiment, 1)
    model = load_model(the_plan.folder / "best.keras")
    for split in (data.dataset.train, data.dataset.validation):
        blocks = list(
            batches(split, spec=data.spec, label_map=data.label_map, batch_size=64, shuffle=False)
        )
        scores = np.concatenate(
            [np.asarray(model(dict(b.inputs))["probabilities"])[:, 1] for b in blocks]
        )
        columns = split.columns(["labels", "weights"])
        labels = data.label_map[columns["labels"]]
        kept = labels >= 0
        yield roc_auc_score(labels[kept], scores, sample_weight=columns["weights"][kept])


def test_constrained_quantities_of_the_kept_network_are_in_the_results(finished):
    the_plan, reports, _ = finished
    found = json.loads((the_plan.folder / "result.json").read_text())["constraints"]
    assert list(found) == list(LIMITS)
    assert reports[-1].constraints == found
    training, validation = areas(the_plan)
    assert found["overtraining"]["value"] == pytest.approx(1 - validation / training, abs=1e-6)
    assert found["overtraining"]["low"] < found["overtraining"]["value"]
    assert found["overtraining"]["beyond"] < 0
    assert found["auc/3p"]["beyond"] < 0
    assert found["latency_us"]["beyond"] > 0
    assert found["parameters"]["beyond"] == 1e6 - found["parameters"]["value"] > 0


def test_reports_count_what_they_break_and_costs_are_measured_in_the_end(finished):
    _, reports, tracker = finished
    assert [report.metrics["broken_constraints"] for report in reports] == [0, 0, 0]
    assert all(report.constraints == {} for report in reports[:-1])
    recorded = [v for (name, _), v in tracker.points.items() if name == "constraint_overtraining"]
    assert recorded == [reports[-1].constraints["overtraining"]["value"]]


def test_the_best_report_is_one_that_breaks_no_constraint(dataset, finished, tmp_path):
    """The limit lies between the areas of the first and of the best report."""
    _, unconstrained, _ = finished
    first, best = unconstrained[0], unconstrained[-1]
    assert best.best_number > 1
    # An accuracy above what the first report has breaks this, as soon as it is beyond its error.
    limit = {"auc": {"max": first.value - 1e-3}}
    the_plan = plan(
        dataset, tmp_path, objective="auc", constraints=limit, epochs=3, learning_rate=0.02
    )
    reports = list(run_trial(the_plan, tracker=Recorder()))
    assert [report.value for report in reports] == [report.value for report in unconstrained]
    broken = [int(report.metrics["broken_constraints"]) for report in reports]
    assert broken == sorted(broken)
    assert broken[best.best_number - 1] == 1
    assert broken[reports[-1].best_number - 1] == min(broken)
