"""Figures of a prepared dataset and its run in MLflow, from the command and the API."""

import json

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from tauopt.cli import prepare as command
from tauopt.config.settings.inputs import FittedFeature, Transform
from tauopt.prepare.constants import seen_by_networks
from tauopt.workflows.prepare import prepare
from tauopt.workflows.record_dataset import draw
from tests.ntuples_factory import columns, dataset, dataset_settings, write
from tests.undrawn import unrendered

FEW = {"tracks": {"features": {"d0": {"expression": "track_d0", "abs": True}}}}
"""Few features, because each is a figure."""


@pytest.fixture
def unrendered_here():
    with unrendered():
        yield


@pytest.mark.usefixtures("unrendered_here")
def test_only_the_training_split_is_drawn_and_figures_state_the_limit(tmp_path):
    write(tmp_path / "in" / "0.root", columns(600))
    prepared = prepare(dataset(tmp_path / "in", groups=FEW), cache=tmp_path)
    draw(prepared, tmp_path / "all", lengths={"tracks": 3})
    draw(prepared, tmp_path / "some", most=100)
    total = prepared.train.candidates
    every = json.loads((tmp_path / "all" / "feature-candidate-eta.json").read_text())
    some = json.loads((tmp_path / "some" / "feature-candidate-eta.json").read_text())
    assert every["note"].startswith(f"N = {total:,} (")
    drawn = int(some["note"].split()[2])
    assert 95 <= drawn <= 100
    assert drawn < total
    kept = json.loads((tmp_path / "all" / "multiplicity-tracks.json").read_text())
    offsets = [np.diff(chunk.group("tracks")[1]) for chunk in prepared.train.chunks]
    assert kept["length"] == 3
    assert kept["whole"]["3"] == pytest.approx(np.mean(np.concatenate(offsets) <= 3))


@pytest.mark.usefixtures("unrendered_here")
def test_a_directly_streamed_dataset_has_the_same_figures(tmp_path):
    write(tmp_path / "in" / "0.root", columns(300))
    fractions = []
    for stream in ("prepared", "direct"):
        settings = dataset(tmp_path / "in", stream=stream, groups={}, spectators={})
        draw(prepare(settings, cache=tmp_path), tmp_path / stream)
        points = json.loads((tmp_path / stream / "feature-candidate-eta.json").read_text())
        fractions.append(points["physical"]["classes"]["jet"]["fraction"])
    np.testing.assert_allclose(*fractions, rtol=1e-4)


def test_figures_show_the_values_that_the_model_s_preprocessing_layer_gives():
    from tauopt.models.preprocessing import Preprocess

    feature = FittedFeature(
        name="d0",
        transform=Transform(divide=2.0, abs=True, offset=1e-6, log10=True),
        clip=(-4.0, 0.5),
        shift=-1.0,
        spread=0.7,
    )
    values = np.random.default_rng(1).laplace(0, 1, 500).astype(np.float32)
    layer = np.asarray(Preprocess([feature])(values[:, None]))[:, 0]
    np.testing.assert_allclose(seen_by_networks(values, feature), layer, rtol=1e-4, atol=1e-4)


def run(*arguments):
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write(tmp_path / "ntuples" / "0.root", columns(300))
    settings = dataset_settings(
        tmp_path / "ntuples", groups=FEW, reweight={"variable": "pt", "to": ["tau"], "bins": 3}
    )
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def test_the_command_draws_into_a_folder_and_logs_figures_constants_and_dataset_to_mlflow(
    file, tmp_path
):
    from tauopt.tracking.client import connect

    output, folder = tmp_path / "output", tmp_path / "figures"
    result = run(file, "--figures", folder, "--log", "-o", output, "--json")
    assert result.exit_code == 0, result.exception
    shown = json.loads(result.stdout)
    assert shown["figures"] == str(folder / "data.pdf")
    names = {path.name for path in folder.iterdir()}
    assert {
        "data.pdf",
        "spectrum.png",
        "feature-tracks-d0.png",
        "multiplicity-tracks.json",
    } <= names
    client = connect(None, output=output)
    logged = client.get_run(shown["run"])
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["tauopt.dataset_digest"] == shown["digest"]
    (used,) = logged.inputs.dataset_inputs
    assert used.dataset.digest == shown["digest"][:16]
    figures = {info.path for info in client.list_artifacts(shown["run"], "figures")}
    assert {"figures/data.pdf", "figures/spectrum.png"} <= figures
    data = {info.path for info in client.list_artifacts(shown["run"], "data")}
    assert {"data/constants.yaml", "data/constants.csv", "data/spectra.json"} <= data
    assert run(file, "--log", "-o", output, "--json").exit_code == 0
