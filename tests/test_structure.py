"""The layers of the code and the doors of the heavy libraries, as contracts."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]

DOORS = {
    "uproot": {"ntuples"},
    "h5py": {"ntuples", "models"},
    "pyarrow": {"ntuples"},
    "fsspec": {"ntuples"},
    "formulate": {"physics"},
    "scipy": {"physics"},
    "yaml": {"config"},
    "numba": {"stream"},
    "tensorflow": {"stream", "models", "training"},
    "keras": {"models", "training"},
    "keras_tuner": {"models"},
    "mlflow": {"tracking"},
    "matplotlib": {"figures"},
    "mplhep": {"figures"},
    "jinja2": {"report"},
    "pythia8mc": {"simulate"},
    "fastjet": {"simulate"},
    "ray": {"cluster", "search"},
    "optuna": {"study", "search", "report"},
    "onnx": {"export"},
    "onnxruntime": {"export"},
    "tf2onnx": {"export"},
    "typer": {"cli"},
    "rich": {"cli"},
}
"""Library -> the packages of tauopt that may import it."""


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(
        "tauopt", include_external_packages=True, cache_dir=None,
        exclude_type_checking_imports=True,  # names for mypy alone load nothing
    )  # fmt: skip


def test_each_layer_imports_only_layers_below_it():
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert lint.returncode == 0, lint.stdout


@pytest.mark.parametrize("library", DOORS)
def test_a_heavy_library_is_imported_only_behind_its_door(graph, library):
    if library not in graph.modules:
        pytest.fail(f"nothing imports {library}: is the table out of date?")
    importers = {name.split(".")[1] for name in graph.find_modules_that_directly_import(library)}
    assert importers <= DOORS[library]


def test_help_imports_no_heavy_library():
    code = (
        (
            "import sys; from tauopt.cli.app import build_app; build_app();"
            f"print(sorted({sorted(DOORS)!r} & sys.modules.keys() - {{'typer', 'rich', 'yaml'}}))"
        )
        .replace("[", "set([", 1)
        .replace("]", "])", 1)
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_help_answers_in_under_half_a_second():
    # Processor time of the child, so that a busy machine does not fail the test.
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'tauopt', '--help'], check=True,"
        " stdout=subprocess.DEVNULL);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    told = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(told) < 0.5


def test_top_level_holds_only_what_was_agreed():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    assert top <= {
        "tauopt", "search_spaces", "tests", "docker", "docker-compose.yml",
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md",
    }  # fmt: skip
