"""A trial of several objectives: the first selects the best network, the others measure it."""

import json

import numpy as np
import pytest

from tauopt.models.model_file import load_model
from tauopt.training import train_trial
from tauopt.training.latency import latencies
from tauopt.training.prediction import Predictor
from tauopt.training.train_trial import run_trial
from tests.prepared_factory import prepared_dataset
from tests.training.toys import Recorder, plan

SEVERAL = ["rejection@0.5/1p", "auc"]
COSTS = ["parameters", "latency_us", "latency_us@64"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder, tracker = tmp_path_factory.mktemp("several"), Recorder()
    dataset = prepared_dataset(folder / "data", candidates=800)
    the_plan = plan(dataset, folder / "t", objective=SEVERAL, costs=COSTS, epochs=3)
    return the_plan, list(run_trial(the_plan, tracker=tracker)), tracker


def result(the_plan):
    return json.loads((the_plan.folder / "result.json").read_text())


def test_only_the_last_report_has_the_other_objectives_in_order(finished):
    the_plan, reports, _ = finished
    assert [r.others for r in reports[:-1]] == [()] * 2
    found = result(the_plan)
    auc, parameters, latency, of_a_batch = reports[-1].others
    assert auc == found["metrics"]["auc"][0]
    assert parameters == load_model(the_plan.folder / "best.keras").count_params()
    assert (latency, of_a_batch) == tuple(found["latencies"][name][0] for name in COSTS[1:])
    assert 0 < of_a_batch < latency


def test_the_first_objective_picks_the_best_network(finished):
    the_plan, reports, _ = finished
    found = result(the_plan)
    assert found["objective"] == SEVERAL[0]
    assert found["value"] == max(r.value for r in reports) == found["metrics"][SEVERAL[0]][0]
    history = [r.metrics["auc"] for r in reports]
    assert found["metrics"]["auc"][0] == pytest.approx(history[found["best_report"] - 1])


def test_costs_are_recorded_beside_the_metrics(finished):
    tracker = finished[2]
    recorded = {name for name, _ in tracker.points}
    for name in ("parameters", "latency_us", "latency_us_low", "latency_us@64_high"):
        assert name in recorded
    assert "validation_auc" in recorded


def test_a_finished_trial_does_not_measure_again(finished):
    the_plan, reports, _ = finished
    (again,) = run_trial(the_plan, tracker=Recorder())
    assert again.others == reports[-1].others


def test_a_trial_of_one_objective_measures_no_latency(finished, tmp_path):
    the_plan = plan(finished[0].dataset, tmp_path / "one", epochs=1)
    reports = list(run_trial(the_plan, tracker=Recorder()))
    assert reports[-1].others == ()
    assert result(the_plan)["latencies"] == {}


@pytest.mark.parametrize(
    "knobs",
    [{"ema": 0.9}, *(pytest.param(k, marks=pytest.mark.slow) for k in ({}, {"jit_compile": True}))],
    ids=str,
)
def test_latency_is_that_of_the_saved_network_with_its_weights(
    finished, tmp_path, monkeypatch, knobs
):
    """Whatever was trained in its place: averaged weights, or a twin that XLA compiles."""
    measured = []

    def listening(costs, network, inputs, *, predictor):
        measured.append((inputs, network, predictor.calling(inputs)()))
        return latencies(costs, network, inputs, predictor=predictor)

    monkeypatch.setattr(train_trial, "latencies", listening)
    the_plan = plan(finished[0].dataset, tmp_path / "t", costs=COSTS, epochs=2, **knobs)
    reports = list(run_trial(the_plan, tracker=Recorder()))
    saved = load_model(the_plan.folder / "best.keras")
    assert reports[-1].others[0] == saved.count_params()
    ((inputs, network, found),) = measured
    for model in (saved, network):
        np.testing.assert_allclose(Predictor(model).calling(inputs)(), found, atol=1e-6)
