"""`tauopt prepare` and its workflow: what they print, where they look, and their errors."""

import json
import shutil

import pytest
import typer
import yaml
from typer.testing import CliRunner

from tauopt.cli import prepare as command
from tauopt.cluster.ray_tasks import is_worth_it
from tauopt.config.settings.dataset import Simulation
from tauopt.errors import ConfigError, DataError, Interrupted
from tauopt.ntuples.input_globs import expand
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
    printed = json.loads(result.stdout)
    assert printed["folder"].startswith(str(cache))
    assert printed["splits"]["train"]["candidates"] == 720
    assert sum(printed["splits"]["test"]["counts"].values()) == 240
    assert printed["dropped"] == {}
    assert printed["left_out"] == {"all": {}}


def test_prints_by_which_cut_candidates_of_each_sample_were_left_out(file, cache, contents):
    file.write_text(file.read_text() + "cuts: {central: abs(eta) < 1 && pt > 0}\n")
    taus, jets = (
        sum(int(((abs(c["eta"]) >= 1) & (c["is_tau"] == tau)).sum()) for c in contents)
        for tau in (1, 0)
    )
    cut = "cuts.central: abs(eta) < 1"
    largest = sorted([(taus, "tau"), (jets, "jet")], reverse=True)
    of = ", ".join(f"{count} {name}" for count, name in largest)
    lines = run(file).stdout.splitlines()
    assert [one for one in lines if one.startswith("left out")] == [
        f"left out of all, {taus + jets} in all: {taus + jets} by {cut} ({of})"
    ]


def test_prints_the_size_of_kept_extracts_and_discards_them_on_request(file, cache):
    printed = json.loads(run(file, "--json").stdout)["extracts"]
    parts = list((cache / "extracts").glob("*/*.bin"))
    size = sum(path.stat().st_size for path in parts)
    assert printed == {"folder": str(cache / "extracts"), "files": 3, "bytes": size}
    line = next(x for x in run(file).stdout.splitlines() if x.startswith("extracts: "))
    assert line.startswith(f"extracts: 3 in {cache / 'extracts'}, {size / 1e6:.1f} MB: with")
    assert "extracts: " not in run(file, "--discard-extracts").stdout
    assert not [path for path in (cache / "extracts").iterdir() if path.is_dir()]
    assert json.loads(run(file, "--json").stdout)["extracts"]["files"] == 0


def test_one_worker_reads_in_this_process_without_ray(file, cache, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # an earlier file may have left one
    assert run(file, "--workers", 1).exit_code == 0
    assert run(file, "--workers", 0).exit_code == 2


@pytest.mark.parametrize(
    ("workers", "sizes", "address", "expected"),
    [
        (None, [10, 20], "", False),
        (None, [10, 20], "ray://head:10001", True),
        (None, [30], "ray://head:10001", False),
        (1, [10**10, 10**10], "ray://head:10001", False),
        (2, [10, 20], "", True),
        (None, [10**9, 10**9], "", True),
        (None, [10**9, 10**9 - 1], "", False),
    ],
)
def test_ray_reads_where_it_pays_or_is_requested(monkeypatch, workers, sizes, address, expected):
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    assert is_worth_it(workers, sizes) is expected


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


def test_folders_may_be_called_anything(tmp_path, monkeypatch, ntuples):
    """Blanks, letters of all alphabets, and what has a meaning in globs and formats."""
    folder = tmp_path / "sp ä [x] * %d"
    shutil.copytree(ntuples, folder / "in ²")
    settings = dataset_settings("in*")
    settings["samples"]["all"]["files"] = ["in*/%d.root"]
    (folder / "toy.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    monkeypatch.setenv("TAUOPT_CACHE", str(folder / "ca che [y] %s"))
    assert run(folder / "toy.yaml").exit_code == 0
    result = run(folder / "toy.yaml", "--json")
    assert result.exit_code == 0
    assert "ca che [y] %s" in json.loads(result.stdout)["folder"]


def test_a_simulated_sample_is_found_wherever_it_lies(ntuples, tmp_path):
    folder = shutil.copytree(ntuples, tmp_path / "cache [y]" / "in").parent
    found = workflow.with_folder(dataset("in"), folder).samples["all"].files
    assert [path.name for path in expand(found)] == ["0.root", "1.root", "2.root"]


@pytest.mark.parametrize(
    ("stop", "code"),
    [(KeyboardInterrupt(), 130), (Interrupted("stopped by SIGTERM", exit_code=143), 143)],
)
def test_stopped_preparation_says_how_to_resume(file, cache, monkeypatch, stop, code):
    def stopped(*args, **options):
        raise stop

    monkeypatch.setattr(workflow, "prepare", stopped)
    monkeypatch.setattr("sys.argv", ["tauopt", "prepare", str(file)])
    result = run(file)
    assert isinstance(result.exception, Interrupted)
    assert result.exception.exit_code == code
    assert "files that were read completely are kept" in str(result.exception)
    assert result.exception.resume == f"tauopt prepare {file}"
