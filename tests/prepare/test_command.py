"""`tauopt prepare` and its workflow: what they print, where they look, and their errors."""

import json

import pytest
import typer
import yaml
from typer.testing import CliRunner

from tauopt.cli import prepare as command
from tauopt.config.dataset import Simulation
from tauopt.errors import ConfigError, DataError
from tauopt.workflows import prepare as workflow
from tests.ntuples_factory import columns, dataset, dataset_settings, write


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(ntuples, tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(dataset_settings(ntuples), sort_keys=False))
    return path


def run(*arguments):
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


def test_prints_the_folder_and_counts(file, cache):
    result = run(file)
    assert result.exit_code == 0, result.exception
    folder, *table = result.stdout.splitlines()
    assert folder.startswith(str(cache / "prepared" / "toy-"))
    assert any("train" in line and "720" in line for line in table)
    assert any(line.split("│")[1].split() == ["all"] and "jet" in line for line in table
               if line.count("│") > 4)  # fmt: skip
    assert any(line.startswith("chunks compared: ") for line in table)


def test_prints_json_for_machines(file, cache):
    result = run(file, "--json")
    told = json.loads(result.stdout)
    assert told["folder"].startswith(str(cache))
    assert told["splits"]["train"]["candidates"] == 720
    assert sum(told["splits"]["test"]["counts"].values()) == 240
    assert told["dropped"] == {}


def test_errors_keep_their_exit_codes(file, cache):
    file.write_text(file.read_text().replace("track_d0", "track_dzero"))
    error = run(file).exception
    assert isinstance(error, DataError)
    assert error.exit_code == 3
    assert "did you mean 'track_d0'" in str(error)
    file.write_text("name: [")
    assert isinstance(run(file).exception, ConfigError)


def test_survey_counts_what_preparation_will_find(file, cache, ntuples):
    found = workflow.survey(file)
    assert not cache.exists()
    prepared = workflow.prepare(file)
    counts = {name: split.counts for name, split in prepared.manifest.splits.items()}
    assert found.counts == counts
    assert found.entries == 1200
    assert set(found.branches) >= {"pt", "eta", "track_pt", "track_d0", "event_number", "weight"}


def test_simulated_sample_is_made_first_and_looked_for_in_its_folder(tmp_path, monkeypatch):
    made = []

    def simulate(settings, *, folder, progress):
        made.append(settings)
        write(folder / "sample_0.root", columns(300))
        return folder

    monkeypatch.setattr("tauopt.workflows.simulate.simulate", simulate)
    settings = dataset("unused")
    sample = settings.samples["all"].model_copy(update={"files": ("sample_*.root",)})
    settings = settings.model_copy(
        update={"samples": {"all": sample}, "simulate": Simulation(taus=10, jets=10)}
    )
    assert workflow.survey(settings, cache=tmp_path) is None
    prepared = workflow.prepare(settings, cache=tmp_path)
    assert made == [settings.simulate]
    assert prepared.folder.parent == tmp_path / "prepared"
    assert workflow.survey(settings, cache=tmp_path).entries == 300
