"""Small real searches for a stack, and what must be true of one when it has ended."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
import yaml
from mlflow import MlflowClient
from sqlalchemy.pool import NullPool

from tests import ntuples_factory
from tests.stack.stack import Stack

EXPERIMENT = {
    "data": "data.yaml",
    "task": {"classes": ["jet", "tau"], "signal": ["tau"]},
    "model": {"type": "dense", "layers": 1, "units": {"int": [2, 64]}},
    "training": {"batch_size": 64, "epochs": 3, "learning_rate": {"float": [1e-4, 1e-2]}},
    "objective": {"maximize": "auc"},
    "search": {"trials": 4, "resources": {"cpus": 1, "concurrent": 2}},
}


def write_files(folder: Path) -> None:
    """Write ntuples, a dataset file and an experiment where the services see them."""
    ntuples_factory.write(folder / "ntuples" / "a.root", ntuples_factory.columns(6000))
    settings = ntuples_factory.dataset_settings("ntuples")
    (folder / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (folder / "toy.yaml").write_text(yaml.safe_dump({"name": "toy"} | EXPERIMENT, sort_keys=False))
    for path in [folder / "ntuples", *folder.rglob("*.root"), *folder.glob("*.yaml")]:
        path.chmod(0o777 if path.is_dir() else 0o666)


def search_words(stack: Stack, name: str, *more: str, trials: int = 4) -> list[str]:
    """Return the words of a search's command."""
    place = ["-o", str(stack.folder / "out"), "--json"]
    words = ["search", str(stack.folder / "toy.yaml"), "--name", name, "--trials", str(trials)]
    return [*words, *place, *more]


def client(stack: Stack) -> MlflowClient:
    """Return a client of the stack's server, with the administrator's password."""
    os.environ["MLFLOW_TRACKING_USERNAME"] = "admin"
    os.environ["MLFLOW_TRACKING_PASSWORD"] = stack.secret("mlflow_admin_password")
    return MlflowClient(f"http://127.0.0.1:{stack.ports['mlflow']}")


def storage_url(stack: Stack) -> str:
    password, port = stack.secret("optuna_password"), stack.ports["postgres"]
    return f"postgresql+psycopg://optuna:{password}@127.0.0.1:{port}/optuna"


def storage(stack: Stack) -> optuna.storages.RDBStorage:
    """Return the stack's storage of studies, of which no connection stays open in between.

    A restore refuses while there is one.
    """
    return optuna.storages.RDBStorage(storage_url(stack), engine_kwargs={"poolclass": NullPool})


def study_of(stack: Stack, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=storage(stack))


def check_whole(stack: Stack, name: str, *, trials: int) -> optuna.Study:
    """Check that a search has all its trials, in study and MLflow, none lost, doubled or mixed up.

    Returns:
        its study.
    """
    study = study_of(stack, name)
    counted = [t for t in study.trials if "duplicate_of" not in t.user_attrs]
    assert [t.number for t in study.trials] == list(range(len(study.trials)))
    assert len(counted) == trials
    strange = [t for t in study.trials if t.state.name not in ("COMPLETE", "PRUNED")]
    assert not strange, [(t.number, t.state.name, t.user_attrs.get("reason")) for t in strange]
    for trial in counted:
        steps = sorted(trial.intermediate_values)
        assert steps == list(range(1, len(steps) + 1))
    check_runs(stack, study, {t.number for t in counted})
    return study


def check_runs(stack: Stack, study: optuna.Study, numbers: set[int]) -> None:
    """Check that MLflow has one run for the search and one a trial, with the study's values."""
    uid = study.user_attrs["tauopt.uid"]
    server = client(stack)
    places = [experiment.experiment_id for experiment in server.search_experiments()]
    runs = [
        run
        for run in server.search_runs(places, max_results=1000)
        if run.data.tags.get("tauopt.uid", "").startswith(uid)
    ]
    by_uid = {run.data.tags["tauopt.uid"]: run for run in runs}
    assert len(by_uid) == len(runs)
    assert set(by_uid) == {uid, *(f"{uid}-t{number:03d}" for number in numbers)}
    assert {run.info.status for run in runs} == {"FINISHED"}
    for number in numbers:
        run = by_uid[f"{uid}-t{number:03d}"]
        assert run.data.tags["tauopt.study"] == study.study_name
        assert run.data.tags["mlflow.parentRunId"] == by_uid[uid].info.run_id
        told = server.get_metric_history(run.info.run_id, "auc")
        trial = study.trials[number]
        reports = {point.step: point.value for point in told}
        assert len(reports) == len(told), "a point stands twice"
        wanted = trial.intermediate_values
        assert sorted(reports.values()) == sorted(wanted.values())
