"""Pruned trials of a real search of a tiny network are judged, continued, and trained elsewhere."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.durable import locked
from tauopt.errors import DataError, Interrupted, LockedError, UsageError
from tauopt.evaluation.find_trial import find_trial
from tauopt.models.model_file import load_model, weights_apart
from tauopt.tracking.client import connect
from tauopt.training.train_trial import run_trial
from tauopt.training.trial_plan import read_plan
from tauopt.workflows.continue_training import continue_training
from tauopt.workflows.gc import gc
from tauopt.workflows.leaderboard import leaderboard
from tauopt.workflows.reproduce import reproduce
from tauopt.workflows.score import score
from tauopt.workflows.train import train
from tests import ntuples_factory
from tests.training.toys import Recorder
from tests.workflows.tiny_search import EXPERIMENT, searched

PRUNING = {
    "model": {"type": "dense", "layers": 1, "units": {"choice": [2, 4, 6, 8]}},
    "training": {"batch_size": 64, "epochs": 3},
    "search": {
        "trials": 4,
        "pruner": {"type": "asha", "reduction_factor": 4},
        "resources": {"cpus": 1, "concurrent": 1},
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a finished search that has pruned trials."""
    home = tmp_path_factory.mktemp("home")
    with searched(home, candidates=1000, experiment=EXPERIMENT | PRUNING):
        yield home


@pytest.fixture(scope="module")
def client(home):
    return connect(None, output=home / "out")


def rows(home, state="PRUNED"):
    return [row for row in leaderboard("toy", output=home / "out").rows if row.state == state]


@pytest.fixture(scope="module")
def pruned(home):
    """The first pruned trial in the leaderboard."""
    return rows(home)[0]


@pytest.fixture(scope="module")
def folder(home, pruned):
    return home / "out" / "searches" / "toy" / f"t{pruned.number:03d}"


def invoke(*words, home):
    return CliRunner().invoke(build_app(), [*words, "-o", str(home / "out")])


def test_a_pruned_trial_is_scored_by_the_weights_of_its_best_report(
    home, client, pruned, folder, tmp_path
):
    (home / "new").mkdir()
    new = ntuples_factory.write(home / "new" / "b.root", ntuples_factory.columns(50, seed=3))
    (scored,) = score(pruned.run_id, [str(new)], to=tmp_path / "scores", output=home / "out")
    assert scored.to.is_file()
    trial = find_trial(client, pruned.run_id, folder=tmp_path, output=home / "out")
    assert trial.result["ended"] == "pruned"
    assert trial.run_id == pruned.run_id
    assert trial.value == pytest.approx(pruned.value, rel=1e-6)
    assert find_trial(client, str(folder), folder=tmp_path).sha256 == trial.sha256
    assert rows(home)[0] == pruned  # the leaderboard is as it was


def test_a_pruned_trial_becomes_no_champion_and_is_not_reproduced(home, pruned):
    ran = CliRunner().invoke(build_app(), ["promote", pruned.run_id, "-o", str(home / "out")])
    assert ran.exception.exit_code == 6
    assert f"tauopt continue {pruned.run_id}" in str(ran.exception)
    with pytest.raises(DataError, match="tauopt continue"):
        reproduce(pruned.run_id, output=home / "out")


@pytest.fixture(scope="module")
def continued(home, pruned):
    """The continuation, by the command, after an interruption at its first report."""

    def interrupt(report):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        continue_training(pruned.run_id, output=home / "out", on_report=interrupt)
    command = stopped.value.resume.split()
    assert command[:3] == ["tauopt", "continue", pruned.run_id]
    ran = CliRunner().invoke(build_app(), [*command[1:], "--json"], catch_exceptions=False)
    return json.loads(ran.stdout)


def test_a_continued_trial_is_that_which_was_never_pruned(
    home, client, pruned, folder, continued, tmp_path
):
    through = replace(read_plan(folder), folder=tmp_path / "through")
    for _ in run_trial(through, tracker=Recorder()):
        pass
    run = client.get_run(continued["run_id"])
    model = home / "out" / "runs" / f"toy-t{pruned.number:03d}-continued" / "best.keras"
    assert weights_apart(load_model(model), load_model(through.folder / "best.keras")) == 0
    assert continued["ended"] == "all epochs"
    assert run.data.tags["tauopt.continues"] == pruned.run_id
    assert run.data.tags["tauopt.state"] == "COMPLETE"
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 3  # whole curves
    assert rows(home)[0] == pruned
    assert client.get_run(pruned.run_id).data.tags["tauopt.state"] == "PRUNED"


def test_what_is_complete_goes_on_with_more_epochs_only(home, continued):
    with pytest.raises(UsageError, match=r"trained for 3.*--epochs"):
        continue_training(continued["run_id"], output=home / "out")
    further = continue_training(continued["run_id"], epochs=4, output=home / "out")
    assert further.result["experiment"]["training"]["epochs"] == 4
    assert further.name.endswith("-continued-4-epochs")


def test_a_name_of_another_run_is_refused(home, pruned, continued):
    taken = continued["folder"].rpartition("/")[2]
    best = leaderboard("toy", output=home / "out").rows[0]
    with pytest.raises(UsageError, match="does not continue toy-t"):
        continue_training(best.run_id, epochs=5, name=taken, output=home / "out")
    with pytest.raises(UsageError, match="begun with 3 epochs, not 9"):
        continue_training(pruned.run_id, epochs=9, name=taken, output=home / "out")


def test_a_trial_that_a_worker_trains_is_not_continued(home, pruned, folder):
    with locked(folder / "lock", what="it"), pytest.raises(LockedError, match="trial toy-t"):
        continue_training(pruned.run_id, name="busy", output=home / "out")


def test_data_that_have_changed_are_refused(home, pruned, monkeypatch, tmp_path):
    plan = read_plan(home / "out" / "searches" / "toy" / f"t{pruned.number:03d}")
    moved = plan.dataset.rename(plan.dataset.with_name("aside"))
    ntuples = home / "ntuples" / "a.root"
    shutil.copy(ntuples, tmp_path / "a.root")
    try:
        ntuples_factory.write(ntuples, ntuples_factory.columns(990))
        monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
        with pytest.raises(DataError, match="the ntuples or the code have changed"):
            continue_training(pruned.run_id, name="changed", output=home / "out")
    finally:
        shutil.copy(tmp_path / "a.root", ntuples)
        moved.rename(plan.dataset)


def test_the_settings_of_a_trial_are_trained_on_other_data(home, client, pruned, folder):
    ntuples_factory.write(home / "other" / "a.root", ntuples_factory.columns(400, seed=7))
    settings = ntuples_factory.dataset_settings("other") | {"name": "other"}
    (home / "other.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    words = ["train", "--like", pruned.run_id, "--data", str(home / "other.yaml"), "--json"]
    ran = invoke(*words, home=home)
    assert ran.exit_code == 0, ran.output
    found, then = json.loads(ran.stdout), read_plan(folder)
    run = client.get_run(found["run_id"])
    assert run.info.run_name == f"toy-t{pruned.number:03d}-on-other"
    assert run.data.tags["tauopt.like"] == pruned.run_id
    assert "Settings and seed are those of toy-t" in run.data.tags["mlflow.note.content"]
    assert found["dataset"] == "other"
    assert found["seed"] == then.seed
    for section in ("model", "training", "task", "objective"):
        recorded = then.experiment.model_dump(mode="json")[section]
        assert found["experiment"][section] == recorded


def test_either_a_file_or_a_trial_is_trained(home, pruned):
    for given in ({}, {"path": home / "toy.yaml", "like": pruned.run_id}):
        with pytest.raises(UsageError, match="either an experiment file or --like RUN"):
            train(**given, output=home / "out")


def test_without_its_weights_a_pruned_trial_can_only_be_trained_anew(home, client, tmp_path):
    gone = rows(home)[-1]
    ran = invoke("gc", "toy", home=home)
    assert f"t{gone.number:03d}" in ran.stdout
    assert "pruned: can be continued and evaluated only with them" in ran.stdout
    gc("toy", remove=True, output=home / "out")
    anew = f"tauopt train --like {gone.run_id}"
    with pytest.raises(DataError, match=anew):
        continue_training(gone.run_id, name="gone", output=home / "out")
    with pytest.raises(DataError, match=anew):
        find_trial(client, gone.run_id, folder=tmp_path, output=home / "out")
    trained = train(like=gone.run_id, output=home / "out", overrides=["training.epochs=1"])
    assert trained.name == f"toy-t{gone.number:03d}-again"


def test_a_trial_of_another_output_folder_is_refused_with_where_to_look(home, pruned, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'out' / 'mlflow.db'}")
        with pytest.raises(DataError, match="output folder of its search"):
            continue_training(pruned.run_id, output=tmp_path)
        best = leaderboard("toy", output=home / "out").rows[0]
        with pytest.raises(DataError, match="another output folder or on another machine"):
            continue_training(best.run_id, output=tmp_path)
