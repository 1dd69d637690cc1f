"""A user's HyperModel in validate, train and search."""

import signal
import sys

import pytest
import yaml

from tauopt.cli import app
from tauopt.errors import UsageError
from tauopt.tracking.client import connect
from tauopt.workflows.search import dry_run
from tauopt.workflows.train import train
from tauopt.workflows.validate import validate
from tests import ntuples_factory
from tests.hypermodels.experiments import write_own
from tests.undrawn import without_figures

TRAINED = {
    "name": "toy",
    "data": "data.yaml",
    "task": {"classes": ["jet", "tau"], "signal": ["tau"]},
    "model": {
        "type": "tests.hypermodels.examples:Knobs",
        "hyperparameters": {"units": {"int": [16, 32]}, "rate": 0.5, "lr": 0.01},
    },
    "training": {"batch_size": 64, "epochs": 3},
    "objective": {"maximize": "auc"},
}


def test_validate_checks_the_file_without_the_model(tmp_path):
    valid = validate(write_own(tmp_path, "nowhere.at.all:Model"))
    assert valid.summary.endswith(
        "no ranges; hyperparameters of the model itself: tauopt search --dry-run"
    )


def test_a_narrowed_hyperparameter_is_a_range_to_train(tmp_path):
    narrowed = "  hyperparameters: {units: {int: [8, 16]}, drop: true}\n"
    path = write_own(tmp_path, "tests.hypermodels.examples:Towers", model=narrowed)
    with pytest.raises(UsageError, match=r"has ranges \(model.hyperparameters.units\): tauopt"):
        train(path, output=tmp_path)


def test_a_dry_run_lists_what_the_model_asks_for(tmp_path):
    names = ("cent_frac", "et_over_pt_lead_trk", "dr_max", "sum_pt_trk_frac", "pt_jet_seed",
             "n_tracks", "mass_trk_sys", "mu", "prongs")  # fmt: skip
    content = {
        **ntuples_factory.columns(300),
        **dict.fromkeys(names, ntuples_factory.columns(300)["pt"]),
    }
    content["c"] = content["event_number"].astype("int32") // 7 % 6
    ntuples_factory.write(tmp_path / "a.root", content)
    settings = "  hyperparameters: {units: {int: [8, 16]}, drop: true}\n"
    shown = dry_run(write_own(tmp_path, "tests.hypermodels.examples:Towers", model=settings))
    at = "model.hyperparameters."
    assert shown.space[f"{at}kind"] == "choice [wide, deep]"
    assert shown.space[f"{at}units"] == (
        "int [8, 16] (the model: int [8, 32] step 8 when kind is wide)"
    )
    assert shown.space[f"{at}drop"] == "True (the model: choice [False, True])"
    assert shown.trials[0].params == {f"{at}kind": "wide", f"{at}units": 8, f"{at}drop": True,
                              f"{at}rate": 0.1}  # fmt: skip
    assert shown.parameters == (7 * 8 + 8) + (8 * 2 + 2)


def test_a_training_settles_and_logs_every_hyperparameter(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    ntuples_factory.write(tmp_path / "ntuples" / "a.root", ntuples_factory.columns(600))
    dataset = ntuples_factory.dataset_settings("ntuples")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(dataset, sort_keys=False))
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(TRAINED, sort_keys=False))
    with without_figures():
        trained = train(path, output=tmp_path / "out", defaults=True)
    settled = {"units": 16, "narrow": 2, "f": "relu", "rate": 0.5, "lr": 0.01}
    model = trained.result["experiment"]["model"]
    assert model["hyperparameters"] == pytest.approx(settled)
    client = connect(None, output=tmp_path / "out")
    params = client.get_run(trained.run_id).data.params
    for name, value in model["hyperparameters"].items():
        assert params[f"model.hyperparameters.{name}"] == str(value)
    assert trained.result["reports"] == 3


def test_an_error_of_the_users_code_ends_the_command_with_its_traceback_and_place(
    tmp_path, monkeypatch, capsys
):
    path = write_own(tmp_path, "tests.hypermodels.bad:raising")
    output = str(tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["tauopt", "search", str(path), "-o", output])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            app.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 2
    *_, raised, last = capsys.readouterr().err.strip().splitlines()
    assert raised == "ZeroDivisionError: units are 1"
    assert last.startswith(f"tauopt: {path}:20:9: model.type: tests.hypermodels.bad:raising raised")
