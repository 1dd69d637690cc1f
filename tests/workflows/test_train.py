from __future__ import annotations

import json
import signal

import pytest
import yaml
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import Interrupted, LockedError, UsageError
from tauopt.workflows.train import params_of, train
from tests import ntuples_factory
from tests.undrawn import without_figures

EXPERIMENT = {
    "name": "toy",
    "data": "data.yaml",
    "task": {"classes": ["jet", "tau"], "signal": ["tau"]},
    "model": {"type": "dense", "layers": 1, "units": 8},
    "training": {"batch_size": 64, "epochs": 3},
    "objective": {"maximize": "auc"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with ntuples, a dataset file, and an experiment file without ranges."""
    home = tmp_path_factory.mktemp("home")
    ntuples_factory.write(home / "ntuples" / "a.root", ntuples_factory.columns(600))
    dataset = ntuples_factory.dataset_settings("ntuples")
    (home / "data.yaml").write_text(yaml.safe_dump(dataset, sort_keys=False))
    (home / "toy.yaml").write_text(yaml.safe_dump(EXPERIMENT, sort_keys=False))
    ranged = {**EXPERIMENT, "model": {"type": "dense", "layers": 1, "units": {"int": [4, 8]}}}
    (home / "ranged.yaml").write_text(yaml.safe_dump(ranged, sort_keys=False))
    return home


@pytest.fixture(scope="module", autouse=True)
def surroundings(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAUOPT_CACHE", str(home / "cache"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


def runs(output):
    """Return the runs of the embedded MLflow store."""
    from tauopt.tracking.client import connect

    client = connect(None, output=output)
    experiment = client.get_experiment_by_name("tauopt")
    return client, client.search_runs([experiment.experiment_id])


def test_an_interrupted_training_goes_on_in_the_same_run_and_is_recorded_once(home, tmp_path):
    def interrupt(report):
        if report.number == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as stopped:
        train(home / "toy.yaml", output=tmp_path, on_report=interrupt)
    assert stopped.value.exit_code == 143
    assert stopped.value.resume.startswith(f"tauopt train {home / 'toy.yaml'} --name toy")
    client, (killed,) = runs(tmp_path)
    assert killed.info.status == "SCHEDULED"
    assert killed.data.tags["tauopt.state"] == "STOPPED"

    numbers = []
    trained = train(
        home / "toy.yaml", output=tmp_path, on_report=lambda r: numbers.append(r.number)
    )
    assert numbers == [2, 3]
    client, (run,) = runs(tmp_path)
    assert run.info.run_id == killed.info.run_id == trained.run_id
    assert run.info.status == "FINISHED"
    assert run.data.tags["tauopt.state"] == "COMPLETE"
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 3
    assert run.data.params["training.batch_size"] == "64"
    assert run.inputs.dataset_inputs[0].dataset.name == "toy"
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"model", "figures", "result.json", "experiment.yaml"} <= files


SHORT = ["training.epochs=1"]


@pytest.fixture(scope="module")
def commanded(home, surroundings, tmp_path_factory):
    """Result of the command with one epoch, its arguments, and its output folder."""
    output = tmp_path_factory.mktemp("commanded")
    arguments = ["train", str(home / "toy.yaml"), "-o", str(output), "--set", *SHORT]
    with without_figures():
        shown = CliRunner().invoke(build_app(), arguments, catch_exceptions=False)
    assert shown.exit_code == 0
    return shown, arguments, output


def test_the_command_prints_metrics_and_the_run(commanded):
    shown, arguments, output = commanded
    (run,) = runs(output)[1]
    assert run.info.run_id in shown.stdout
    assert "rejection@0.75/3p" in shown.stdout
    assert f"tauopt promote {run.info.run_id}" in shown.stdout
    again = CliRunner().invoke(build_app(), [*arguments, "--json"], catch_exceptions=False)
    result = json.loads(again.stdout)
    assert result["run_id"] == run.info.run_id
    assert result["metrics"]["auc"][0] == result["value"]


def test_the_same_name_with_other_settings_is_refused(home, commanded):
    _, _, output = commanded
    with pytest.raises(UsageError, match=r"model\.units: was 8, is 6"):
        train(home / "toy.yaml", output=output, overrides=[*SHORT, "model.units=6"])
    (run,) = runs(output)[1]
    assert run.info.status == "FINISHED"  # the refused call left the finished run alone


def test_an_output_that_is_no_folder_is_a_usage_error(home, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file: can't be made a folder .* choose another with -o"):
        train(home / "toy.yaml", output=tmp_path / "file")


def test_ranges_are_refused_without_the_option_defaults(home, commanded, tmp_path):
    with pytest.raises(UsageError, match=r"model\.units.*--defaults"):
        train(home / "ranged.yaml", output=tmp_path)
    _, _, output = commanded
    trained = train(home / "ranged.yaml", output=output, defaults=True, overrides=SHORT)
    assert trained.result["experiment"]["model"]["units"] == 8
    assert len(runs(output)[1]) == 1  # the same settings as the command's training, so the same run


def test_two_processes_do_not_train_one_run(home, tmp_path):
    from tauopt.durable import locked

    folder = tmp_path / "runs" / "toy"
    folder.mkdir(parents=True)
    with locked(folder / "lock", what="it"), pytest.raises(LockedError, match="run 'toy'"):
        train(home / "toy.yaml", output=tmp_path)


def test_parameters_are_named_by_their_paths(home):
    from tauopt.config.load import read_experiment

    params = params_of(read_experiment(home / "toy.yaml").base)
    assert params["model.units"] == 8
    assert params["training.early_stopping.patience"] == 10
    assert "training.reduce_on_plateau" not in params
