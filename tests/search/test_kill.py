"""A driver killed by SIGKILL and resumed ends with exactly the requested trials."""

import os
import signal

import pytest
import ray

from tauopt.study.open_study import UID, open_study
from tauopt.study.study_storage import open_storage
from tauopt.tracking.client import connect
from tests.prepared_factory import prepared_dataset
from tests.search.drivers import drive, driven

MOMENTS = {"before any report": ("started", 1), "at a report": ("report", 4), "between a trial's end and its run's": ("complete", 2)}  # fmt: skip  # noqa: E501


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ray_cluster(monkeypatch, ray_here):
    """A Ray that outlives the drivers: their workers must not disturb the next driver."""
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)


def check_nothing_lost_or_doubled(folder, trials):
    study = open_study(open_storage(folder / "out"), "toy")
    assert [t.number for t in study.trials] == list(range(trials))
    assert {t.state.name for t in study.trials} == {"COMPLETE"}
    client = connect(None, output=folder / "out")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    uids = sorted(run.data.tags["tauopt.uid"] for run in runs)
    uid = study.user_attrs[UID]
    assert uids == sorted([uid, *(f"{uid}-t{number:03d}" for number in range(trials))])
    assert {run.info.status for run in runs} == {"FINISHED"}
    return study, {run.info.run_name: run for run in runs}, client


@pytest.mark.parametrize(
    "with_ray",
    [
        pytest.param({"at a report"}, marks=pytest.mark.service),
        pytest.param(set(MOMENTS), marks=pytest.mark.slow),
    ],
)
def test_a_driver_killed_at_three_moments_loses_nothing_and_doubles_nothing(
    tmp_path, ray_cluster, with_ray
):
    params = {}
    for moment, death in MOMENTS.items():
        assert driven(tmp_path, death, ray=moment in with_ray, trials=5) == -signal.SIGKILL
        study = open_study(open_storage(tmp_path / "out"), "toy")
        # At the end of a trial the other one may have ended too, and the next not begun.
        assert death[0] == "complete" or any(t.state.name == "RUNNING" for t in study.trials)
        now = {t.number: t.params for t in study.trials if t.params}
        assert {**now, **params} == now, "a trial changed its parameters"
        params = now
    drive(tmp_path, None, ray=with_ray == set(MOMENTS), trials=5)
    study, runs, client = check_nothing_lost_or_doubled(tmp_path, 5)
    for trial in study.trials:
        assert params.get(trial.number, trial.params) == trial.params
        assert list(trial.intermediate_values) == [1, 2, 3]
        run_id = runs[f"t{trial.number:03d}-dense"].info.run_id
        history = client.get_metric_history(run_id, "objective")
        assert sorted(point.step for point in history) == [1, 2, 3]
        trained = (tmp_path / f"out/searches/toy/t{trial.number:03d}/trained.txt").read_text()
        steps = [int(step) for step in trained.split()]
        assert sorted(set(steps)) == [1, 2, 3]
        assert len(steps) <= 3 + len(MOMENTS), "more than a rung repeated for each kill"


@pytest.mark.slow
def test_rungs_of_several_objectives_outlive_a_killed_driver(tmp_path, ray_cluster):
    """One trial at a time: a search cut short stops the same trials as an uninterrupted one."""
    both = {
        "trials": 8,
        "pruner": "asha",
        "concurrent": 1,
        "overrides": ["objective.minimize=parameters"],
    }
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    drive(tmp_path / "whole", None, **both)
    assert driven(tmp_path / "cut", ("report", 6), **both) == -signal.SIGKILL
    drive(tmp_path / "cut", None, **both)
    whole, cut = (
        [
            (t.state, t.values, t.intermediate_values, t.params, _rungs(t))
            for t in open_study(open_storage(tmp_path / name / "out"), "toy").trials
        ]
        for name in ("whole", "cut")
    )
    assert cut == whole
    assert {state.name for state, *_ in whole} == {"COMPLETE", "PRUNED"}


def _rungs(trial):
    return {k: v for k, v in trial.system_attrs.items() if k.startswith("completed_rung")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_trainings_of_a_driver_killed_at_three_moments_are_each_there_once(tmp_path):
    dataset = prepared_dataset(tmp_path, candidates=3000)
    for death in MOMENTS.values():
        code = driven(tmp_path, death, fake=False, dataset=dataset, trials=4, epochs=3)
        assert code == -signal.SIGKILL
    assert driven(tmp_path, None, fake=False, dataset=dataset, trials=4, epochs=3) == 0
    study, runs, client = check_nothing_lost_or_doubled(tmp_path, 4)
    for trial in study.trials:
        assert list(trial.intermediate_values) == [1, 2, 3]
        run_id = runs[f"t{trial.number:03d}-dense"].info.run_id
        assert len(client.get_metric_history(run_id, "auc")) == 3
        assert os.path.exists(tmp_path / f"out/searches/toy/t{trial.number:03d}/result.json")
