"""`tauopt init` writes a valid search space for the user's dataset, and it can be searched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.config.load import read_experiment
from tauopt.config.settings.network_catalogue import catalogue
from tauopt.errors import ConfigError, InvalidNameError, UsageError
from tauopt.workflows.init import init
from tauopt.workflows.inspect import inspect_files
from tauopt.workflows.propose_dataset import FILL_IN, propose
from tauopt.workflows.validate import validate
from tests import ntuples_factory as factory
from tests.models.specs import spec_of_data
from tests.workflows.test_validate import command

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "search_spaces" / "data" / "demo.yaml"
TYPES = [entry.type for entry in catalogue()]
DATA = ("demo", "nanoaod", "physlite")


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("type_", TYPES)
def test_the_written_space_is_valid(type_, data, tmp_path):
    space = init(type_, DEMO.with_stem(data), output=tmp_path / "space.yaml")
    assert validate(space.path).ranges
    experiment = read_experiment(space.path).base
    assert experiment.model.type == type_
    assert experiment.data.name == data


OFTEN = [(type_, "demo") for type_ in TYPES] + [("rnn", data) for data in DATA[1:]]
SELDOM = [(type_, data) for type_ in TYPES for data in DATA if (type_, data) not in OFTEN]


@pytest.mark.parametrize(
    ("type_", "data"), [*OFTEN, *(pytest.param(*one, marks=pytest.mark.slow) for one in SELDOM)]
)
def test_the_default_point_is_a_network_of_its_data(type_, data, tmp_path):
    from tauopt.models.build_model import build_model

    space = init(type_, DEMO.with_stem(data), output=tmp_path / "space.yaml")
    experiment = read_experiment(space.path).base
    model = build_model(spec_of_data(experiment), experiment.model, seed=1)
    assert model.output_shape == (None, len(experiment.task.classes))


def test_the_default_path_is_the_network_s_name_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = init("dense", DEMO)
    assert space.path == Path("dense.yaml")
    assert space.next == ("tauopt validate dense.yaml", "tauopt search dense.yaml")
    assert read_experiment(space.path).name == "dense"


def test_the_dataset_file_is_found_wherever_the_space_is_written(tmp_path, monkeypatch):
    """Also through a link to a folder, whose `..` is not the folder that the link is in."""
    real, link = tmp_path / "deep" / "folder", tmp_path / "link"
    real.mkdir(parents=True)
    link.symlink_to(real)
    (tmp_path / "own.yaml").write_text(DEMO.read_text())
    monkeypatch.chdir(tmp_path)
    space = init("dense", "own.yaml", output="link/space.yaml")
    assert "\ndata: ../../own.yaml " in space.path.read_text()
    assert read_experiment(space.path).base.data.name == "demo"


def test_the_schema_is_named_if_it_lies_beside_the_file(tmp_path):
    (tmp_path / "schema").mkdir()
    without = init("dense", DEMO, output=tmp_path / "a.yaml").path.read_text()
    assert without.startswith("# Dense layers")
    (tmp_path / "schema" / "experiment.schema.json").write_text("{}")
    first = init("dense", DEMO, output=tmp_path / "b.yaml").path.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema/experiment.schema.json"


def test_existing_files_are_not_overwritten(tmp_path):
    path, dangling = tmp_path / "space.yaml", tmp_path / "dangling.yaml"
    path.write_text("mine")
    dangling.symlink_to(tmp_path / "nothing")
    for existing in (path, dangling):
        with pytest.raises(UsageError, match="exists already; remove it, or name another file"):
            init("rnn", DEMO, output=existing)
    assert path.read_text() == "mine"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ("", UsageError, "is a folder; name a file in it"),
        ("nowhere/space.yaml", UsageError, "there is no folder .*nowhere; make it"),
        ("my space.yaml", InvalidNameError, "the file's name, by which the search is called"),
    ],
)
def test_a_file_that_can_not_be_is_refused_with_the_remedy(output, error, message, tmp_path):
    with pytest.raises(error, match=message):
        init("rnn", DEMO, output=tmp_path / output)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_dataset_file_is_reported_first(tmp_path):
    bad = ROOT / "tests" / "data" / "bad_dataset_feature.yaml"
    with pytest.raises(ConfigError) as caught:
        init("nonsense", bad, output=tmp_path / "space.yaml")
    assert caught.value.problems[0].line
    assert "did you mean" in str(caught.value)


def test_an_unknown_network_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(UsageError, match=r"no network 'transfomer' \(did you mean 'transformer'"):
        init("transfomer", DEMO, output=tmp_path / "space.yaml")


def test_init_takes_the_dataset_file_that_inspect_proposes(tmp_path):
    ntuple, data = factory.write(tmp_path / "a.root", factory.columns(50)), tmp_path / "own.yaml"
    text = propose(inspect_files([ntuple])[0])
    data.write_text(text)
    with pytest.raises(ConfigError, match=FILL_IN):
        init("rnn", data, output=tmp_path / "rnn.yaml")
    data.write_text(
        text.replace(f"background: {FILL_IN}", "background: 0 == 1").replace(FILL_IN, "1 == 1")
    )
    experiment = read_experiment(init("rnn", data, output=tmp_path / "rnn.yaml").path).base
    assert experiment.task.background == ("background",)
    assert list(experiment.model.groups) == ["track"]


def test_the_command_prints_the_next_steps_as_text_and_as_json(tmp_path):
    done = command("init", "--data", DEMO, "-o", tmp_path / "a.yaml")
    assert done.returncode == 0
    assert "LOADED []" in done.stderr
    wrote, *following = done.stdout.splitlines()
    assert wrote == f"wrote {tmp_path / 'a.yaml'}: a search space of rnn"
    for line in following:
        verb, file = line.removeprefix("next: tauopt ").split()
        assert (verb in ("validate", "search"), file) == (True, str(tmp_path / "a.yaml"))
    words = ["init", "--data", str(DEMO), "-o"]
    ran = CliRunner().invoke(
        build_app(), [*words, str(tmp_path / "b.yaml"), "--model", "dense", "--json"]
    )
    assert json.loads(ran.stdout)["path"] == str(tmp_path / "b.yaml")
    ran = CliRunner().invoke(build_app(), [*words, str(tmp_path / "a.yaml")])
    assert isinstance(ran.exception, UsageError)
    assert ran.stdout == ""


def test_the_space_of_the_rnn_can_be_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path))
    path = init("rnn", DEMO, output=tmp_path / "rnn.yaml").path
    ran = CliRunner().invoke(build_app(), ["search", str(path), "--dry-run", "--json"])
    assert ran.exit_code == 0, ran.output
    planned = json.loads(ran.stdout)
    assert planned["parameters"] > 10_000
    assert set(planned["space"]) == set(read_experiment(path).space)


def tauopt(*words, cache):
    ended = subprocess.run(
        [sys.executable, "-m", "tauopt", *map(str, words)],
        capture_output=True, text=True, check=False, cwd=cache,
        env={**os.environ, "TAUOPT_CACHE": str(cache), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("type_", TYPES)
def test_each_space_is_searched_on_a_small_sample(type_, tmp_path_factory, tmp_path):
    path = init(type_, DEMO, output=tmp_path / "space.yaml").path
    small = (
        "--set", "data.simulate.taus=1500", "--set", "data.simulate.jets=1500",
        "--set", "training.epochs=1", "--trials", "2",
    )  # fmt: skip
    words = ("search", path, *small, "--output", tmp_path / "out", "--json")
    printed = tauopt(*words, cache=tmp_path_factory.getbasetemp())
    trials = json.loads(printed)["trials"]
    assert len(trials) == 2
    assert {trial["state"] for trial in trials} <= {"COMPLETE", "PRUNED"}
