"""What an old group has in its mlruns folder comes over whole, once."""

import json
import math
import os
import shutil

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import DataError, UsageError
from tauopt.tracking.client import connect
from tauopt.workflows.import_mlruns import import_mlruns


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A file store as MLflow itself writes one: nested runs, NaN, a run that nobody ended."""
    folder = tmp_path_factory.mktemp("old") / "mlruns"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=folder.as_uri())
        place = client.create_experiment("tau RNN")
        parent = client.create_run(place, start_time=1000, run_name="scan", tags={"by": "her"})
        client.set_terminated(parent.info.run_id, end_time=9000)
        for number in range(3):
            tags = {"mlflow.parentRunId": parent.info.run_id}
            run = client.create_run(place, start_time=2000, run_name=f"n{number}", tags=tags)
            run_id = run.info.run_id
            client.log_param(run_id, "units", 8 * (number + 1))
            for step in range(1200 if number == 0 else 3):
                value = float("nan") if step == 2 else number + step / 7
                client.log_metric(run_id, "auc", value, timestamp=2000 + step, step=step)
            client.log_dict(run_id, {"number": number}, "curves/roc.json")
            if number < 2:
                client.set_terminated(run_id, status="FINISHED" if number else "FAILED")
        gone = client.create_run(place, run_name="gone")
        client.delete_run(gone.info.run_id)
    return folder


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def runs_of(output):
    client = connect(None, output=output)
    places = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(places)
    assert len({run.info.run_name for run in runs}) == len(runs)
    return client, {run.info.run_name: run for run in runs}


def test_runs_come_with_all_that_they_have_and_once(old, tmp_path):
    content = sorted((str(p), p.stat().st_mtime_ns) for p in old.rglob("*"))
    found = import_mlruns(old.parent, output=tmp_path / "out")
    assert (found.experiments, found.runs, found.already) == (("tau RNN",), 4, 0)
    again = import_mlruns(old, output=tmp_path / "out")
    assert (again.runs, again.already) == (0, 4)
    assert sorted((str(p), p.stat().st_mtime_ns) for p in old.rglob("*")) == content
    client, runs = runs_of(tmp_path / "out")
    assert set(runs) == {"scan", "n0", "n1", "n2"}
    assert [runs[f"n{n}"].info.status for n in range(3)] == ["FAILED", "FINISHED", "KILLED"]
    assert (runs["scan"].info.start_time, runs["scan"].info.end_time) == (1000, 9000)
    assert runs["scan"].data.tags["by"] == "her"
    for number in range(3):
        run = runs[f"n{number}"]
        assert run.data.tags["mlflow.parentRunId"] == runs["scan"].info.run_id
        assert run.data.params == {"units": str(8 * (number + 1))}
        points = client.get_metric_history(run.info.run_id, "auc")
        assert len(points) == (1200 if number == 0 else 3)
        for point in points:
            assert point.timestamp == 2000 + point.step
            expected = math.nan if point.step == 2 else number + point.step / 7
            assert point.value == pytest.approx(expected, nan_ok=True)
        local = client.download_artifacts(run.info.run_id, "curves/roc.json")
        with open(local) as stream:
            assert json.load(stream) == {"number": number}


def test_an_import_that_was_cut_short_is_completed(old, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    log, calls = MlflowClient.log_artifact, []

    def dies(self, *words):
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return log(self, *words)

    monkeypatch.setattr(MlflowClient, "log_artifact", dies)
    with pytest.raises(KeyboardInterrupt):
        import_mlruns(old, output=tmp_path / "out")
    monkeypatch.setattr(MlflowClient, "log_artifact", log)
    found = import_mlruns(old, output=tmp_path / "out")
    assert found.runs + found.already == 4
    assert found.already == 2
    client, runs = runs_of(tmp_path / "out")
    for number in range(3):
        points = client.get_metric_history(runs[f"n{number}"].info.run_id, "auc")
        assert len(points) == (1200 if number == 0 else 3)


def test_the_verb_tells_and_another_experiment_may_take_all(old, tmp_path):
    words = ["import-mlruns", str(old), "--experiment", "old", "-o", str(tmp_path / "out")]
    told = CliRunner().invoke(build_app(), [*words, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["experiments"] == ["old"]


def test_a_folder_that_is_none_is_said(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(UsageError, match="file store"):
        import_mlruns(tmp_path, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_folder_is_named(old, tmp_path):
    copy = tmp_path / "mlruns"
    shutil.copytree(old, copy)
    metric = next(path for path in copy.rglob("metrics/auc"))
    with metric.open("a") as stream:
        stream.write("no number\n")
    with pytest.raises(DataError, match="can't read it"):
        import_mlruns(copy, output=tmp_path / "out")
    assert not os.path.exists(tmp_path / "out")
