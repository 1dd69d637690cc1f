"""A search can be resumed from a backup made while it ran, also in another folder."""

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import DataError, UsageError
from tauopt.search.driver import run_search
from tauopt.tracking.client import connect
from tauopt.workflows.backup import MANIFEST, backup, restore
from tauopt.workflows.leaderboard import leaderboard
from tests.prepared_factory import prepared_dataset
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_setup
from tests.search.without_ray import without_ray


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def runs_of(output):
    client = connect(None, output=output)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client, {run.info.run_name: run for run in client.search_runs(experiments)}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A finished search, and the backups made at each of its reports."""
    home = tmp_path_factory.mktemp("searched")
    dataset = prepared_dataset(home, candidates=200)
    made = []

    def copy(event):
        if event.kind == "report":
            made.append(backup(home / "backups", output=home / "out").folder)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
            patch.delenv(name, raising=False)
        with without_ray():
            run_search(make_setup(home, dataset=dataset), on_event=copy, worker=FakeWorker)
    return home, dataset, made


@pytest.mark.parametrize("which", [0, pytest.param(-1, marks=pytest.mark.slow)])
def test_a_search_is_resumed_from_a_backup_made_while_it_ran(searched, tmp_path, which):
    home, dataset, made = searched
    restore(made[which], output=tmp_path / "out")
    before = [t.state for t in leaderboard("toy", output=tmp_path / "out").rows]
    assert "INTERRUPTED" in before  # no process runs what was restored
    order = make_setup(home, dataset=dataset, resume=True)
    with without_ray():
        run_search(replace(order, output=tmp_path / "out"), worker=FakeWorker)
    resumed = leaderboard("toy", output=tmp_path / "out").rows
    original = leaderboard("toy", output=home / "out").rows
    assert [(r.number, r.value, r.params) for r in resumed] == [
        (r.number, r.value, r.params) for r in original
    ]
    client, runs = runs_of(tmp_path / "out")
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert len(runs) == 5
    for run in runs.values():
        if "mlflow.parentRunId" in run.data.tags:
            steps = [p.step for p in client.get_metric_history(run.info.run_id, "objective")]
            assert sorted(steps) == [1, 2, 3]


def test_artifacts_are_found_in_the_new_folder(searched, tmp_path):
    home = searched[0]
    saved = backup(tmp_path / "backups", output=home / "out")
    restore(saved.folder, output=tmp_path / "other" / "out")
    client, runs = runs_of(tmp_path / "other" / "out")
    parent = next(r for r in runs.values() if "mlflow.parentRunId" not in r.data.tags)
    assert str(tmp_path / "other") in parent.info.artifact_uri
    names = [item.path for item in client.list_artifacts(parent.info.run_id)]
    assert "leaderboard.json" in names


def invoke(*words):
    return CliRunner().invoke(build_app(), [str(word) for word in words])


def test_the_commands_back_up_and_restore(searched, tmp_path):
    home = searched[0]
    ran = invoke("backup", tmp_path / "b", "-o", home / "out", "--json")
    assert ran.exit_code == 0, ran.output
    folder = json.loads(ran.stdout)["folder"]
    ran = invoke("restore", folder, "-o", tmp_path / "back")
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "back" / "studies.db").exists()


def test_a_backup_that_changed_is_refused(searched, tmp_path):
    made = searched[2]
    for change in ("changed", "missing", "more"):
        copy = tmp_path / change
        shutil.copytree(made[-1], copy)
        file = copy / "searches" / "toy" / "t000" / "records.jsonl"
        if change == "changed":
            file.write_bytes(file.read_bytes()[:-1] + b" ")
        elif change == "missing":
            file.unlink()
        else:
            (copy / "searches" / "intruder").write_text("")
        with pytest.raises(DataError, match="missing or changed"):
            restore(copy, output=tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_manifest_that_leads_out_of_the_backup_is_refused(searched, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(searched[2][0], copy)
    record = json.loads((copy / MANIFEST).read_text())
    record["files"]["searches/../../../x"] = "0" * 64
    (copy / MANIFEST).write_text(json.dumps(record))
    with pytest.raises(DataError, match="no backup has"):
        restore(copy, output=tmp_path / "out")


def test_folders_that_are_not_empty_are_not_overwritten(searched, tmp_path):
    home, _, made = searched
    with pytest.raises(UsageError, match="is not empty"):
        restore(made[0], output=home / "out")
    with pytest.raises(UsageError, match="there are"):
        restore(made[0].parent, output=tmp_path / "out")
    with pytest.raises(UsageError, match="outside"):
        backup(home / "out" / "backups", output=home / "out")
    with pytest.raises(UsageError, match="nothing to back up"):
        backup(tmp_path / "b", output=tmp_path / "nothing")


def test_services_have_backups_of_their_own(searched, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    with pytest.raises(UsageError, match="docker compose run --rm backup"):
        backup(tmp_path / "b", output=searched[0] / "out")


def test_a_backup_that_is_cut_short_leaves_nothing(searched, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tauopt.workflows.backup.shutil.copytree", full)
    with pytest.raises(OSError, match="No space"):
        backup(tmp_path / "b", output=searched[0] / "out")
    assert list((tmp_path / "b").iterdir()) == []
