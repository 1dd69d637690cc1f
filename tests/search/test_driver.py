import json
import signal
import threading
import time

import pytest
import ray
from optuna.trial import TrialState

from tauopt.durable import locked
from tauopt.errors import Interrupted, LockedError, SearchError
from tauopt.search import cluster
from tauopt.search.driver import run_search
from tauopt.search.storage import open_storage
from tauopt.search.study import open_study
from tauopt.tracking.client import connect
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_order


@pytest.fixture(scope="module", autouse=True)
def one_ray():
    """Start Ray once: the driver uses the one that runs."""
    from tauopt.config.experiment import Resources

    with cluster.environment(), cluster.running_ray(Resources(concurrent=2)):
        yield


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def search(folder, *, events=None, **kwargs):
    on_event = events.append if events is not None else lambda event: None
    return run_search(make_order(folder, **kwargs), on_event=on_event, worker=FakeWorker)


def study_trials(folder):
    return open_study(open_storage(folder / "out"), "toy").get_trials()


def mlflow_runs(folder):
    client = connect(None, output=folder / "out")
    places = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(places)
    return {r.info.run_name: r for r in runs}, len(runs)


def test_a_search_trains_the_trials_asked_for_and_mlflow_follows(tmp_path):
    events = []
    ending = search(tmp_path, events=events)
    assert ending.why == "complete"
    assert not ending.undelivered
    trials = study_trials(tmp_path)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 4
    assert all(list(t.intermediate_values) == [1, 2, 3] for t in trials)
    assert trials[0].params["model.units"] == 16
    runs, count = mlflow_runs(tmp_path)
    assert count == 5
    assert set(runs) == {"toy", *(f"t{n:03d}-dense" for n in range(4))}
    assert {r.info.status for r in runs.values()} == {"FINISHED"}
    parent = runs["toy"].info.run_id
    assert all(r.data.tags["mlflow.parentRunId"] == parent for n, r in runs.items() if n != "toy")
    assert trials[1].user_attrs["mlflow_run_id"] == runs["t001-dense"].info.run_id
    assert [e.kind for e in events if e.number == 2] == ["started"] + ["report"] * 3 + ["complete"]
    assert not (tmp_path / "out/searches/toy/.ray").exists()


def test_workers_are_reused_and_run_at_the_same_time(tmp_path):
    search(tmp_path, trials=6)
    trials = study_trials(tmp_path)
    spans = [(t.datetime_start, t.datetime_complete) for t in trials]
    assert any(a[0] < b[1] and b[0] < a[1] for a in spans for b in spans if a is not b)


def test_raising_the_number_of_trials_extends_a_search(tmp_path):
    search(tmp_path, trials=2)
    search(tmp_path, trials=3, resume=True)
    assert len(study_trials(tmp_path)) == 3
    assert mlflow_runs(tmp_path)[1] == 4


def test_a_worker_that_dies_once_is_taken_up_again_in_the_same_trial(tmp_path):
    (tmp_path / "trouble.json").write_text(json.dumps({"1": "die once"}))
    events = []
    search(tmp_path, events=events, trials=2)
    assert [t.state for t in study_trials(tmp_path)] == [TrialState.COMPLETE] * 2
    assert [e.kind for e in events if e.number == 1 and e.kind != "report"] == [
        "started", "retried", "complete",
    ]  # fmt: skip
    trained = (tmp_path / "out/searches/toy/t001/trained.txt").read_text().split()
    assert trained == ["1", "3"]


def test_a_worker_that_dies_always_fails_its_trial_with_the_reason(tmp_path):
    (tmp_path / "trouble.json").write_text(json.dumps({"1": "die"}))
    search(tmp_path, trials=3)
    trials = study_trials(tmp_path)
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert "worker died" in trials[1].user_attrs["reason"]
    assert mlflow_runs(tmp_path)[0]["t001-dense"].info.status == "FAILED"


def test_a_diverging_trial_fails_and_the_search_goes_on(tmp_path):
    (tmp_path / "trouble.json").write_text(json.dumps({"1": "diverge"}))
    search(tmp_path, trials=3)
    trials = study_trials(tmp_path)
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials[1].user_attrs["reason"] == "the loss is not finite at report 1"


def test_a_search_whose_trials_all_fail_stops_with_the_first_traceback(tmp_path):
    (tmp_path / "trouble.json").write_text(json.dumps({str(n): "bug" for n in range(50)}))
    with pytest.raises(SearchError, match=r"3 trials in a row failed(.|\n)*a bug in the model"):
        search(tmp_path, trials=50)
    assert len(study_trials(tmp_path)) < 7
    assert mlflow_runs(tmp_path)[0]["toy"].info.status == "FAILED"


def test_pruned_trials_are_pruned_in_the_study_and_finished_in_mlflow(tmp_path):
    search(tmp_path, trials=8, pruner="asha", concurrent=1)
    states = [t.state.name for t in study_trials(tmp_path)]
    assert set(states) == {"COMPLETE", "PRUNED"}
    runs, _ = mlflow_runs(tmp_path)
    pruned = f"t{states.index('PRUNED'):03d}-dense"
    assert runs[pruned].info.status == "FINISHED"
    assert runs[pruned].data.tags["tauopt.state"] == "PRUNED"


def test_a_signal_stops_the_search_and_resume_goes_on(tmp_path, monkeypatch):
    events = []

    def stop(event):
        events.append(event)
        if event.kind == "report" and event.number == 1:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(FakeWorker, "pause_s", 0.2)
    before = time.monotonic()
    with pytest.raises(Interrupted) as stopped:
        run_search(make_order(tmp_path), on_event=stop, worker=FakeWorker)
    assert time.monotonic() - before < 30
    assert stopped.value.exit_code == 143
    assert stopped.value.resume == "tauopt search toy.yaml --resume"
    states = [t.state.name for t in study_trials(tmp_path)]
    assert "RUNNING" in states
    runs, _ = mlflow_runs(tmp_path)
    assert "RUNNING" not in {r.info.status for r in runs.values()}
    assert runs["toy"].info.status == "KILLED"

    search(tmp_path, resume=True)
    assert [t.state.name for t in study_trials(tmp_path)] == ["COMPLETE"] * 4
    runs, count = mlflow_runs(tmp_path)
    assert count == 5
    assert {r.info.status for r in runs.values()} == {"FINISHED"}


def test_two_drivers_cannot_run_one_search(tmp_path):
    folder = tmp_path / "out/searches/toy"
    with locked(folder / "lock", what="x"), pytest.raises(LockedError, match=r"process \d+"):
        search(tmp_path)


def test_a_budget_ends_the_search_and_counts_over_resumes(tmp_path):
    ending = search(tmp_path, trials=50, overrides=["search.budget.hours=0.0001"])
    assert "budget" in ending.why
    done = len(study_trials(tmp_path))
    assert done < 50
    ending = search(tmp_path, trials=50, resume=True, overrides=["search.budget.hours=0.0001"])
    assert "budget" in ending.why


def test_ray_is_not_seen_from_outside(one_ray):
    assert ray.get_runtime_context().gcs_address.startswith("127.0.0.1")
    assert threading.current_thread() is threading.main_thread()
