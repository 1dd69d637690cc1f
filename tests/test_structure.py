"""The layers of the code and the doors of the heavy libraries, as contracts."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import tauopt

ROOT = Path(__file__).parents[1]

DOORS = {
    "uproot": {"ntuples"},
    "h5py": {"ntuples", "models"},
    "pyarrow": {"ntuples"},
    "fsspec": {"ntuples"},
    "formulate": {"physics"},
    "scipy": {"physics"},
    "sklearn": {"replay"},
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
    "optuna": {"study", "search", "report", "replay"},
    "onnx": {"export"},
    "onnxruntime": {"export"},
    "tf2onnx": {"export"},
    "typer": {"cli"},
    "rich": {"cli"},
}
"""Library -> the packages of tauopt that may import it."""
PRIVATE_ATTRIBUTES = {"_storage", "_study_id", "_trial_id", "_flatten_layers", "_fields"}
"""Of objects of libraries; tauopt's own classes use some of these names of themselves."""


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


def test_private_parts_of_libraries_are_used_in_files_of_internals_only():
    """Each has a contract test, which says what an upgrade must check."""
    libraries = set(DOORS) | {"awkward", "numpy", "sqlalchemy", "alembic"}
    for path in (ROOT / "tauopt").rglob("*.py"):
        if path.stem.endswith("_internals"):
            library = path.stem.removeprefix("_").removesuffix("_internals")
            tests = list((ROOT / "tests" / path.parent.name).glob(f"test_{library}_internals.py"))
            assert tests, f"{path} has no contract test"
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in libraries:
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = [n for n in names if n.startswith("_") and not n.startswith("__")]
                assert not private, f"{path}:{node.lineno}"
            if isinstance(node, ast.Attribute) and node.attr in PRIVATE_ATTRIBUTES:
                assert getattr(node.value, "id", "") == "self", f"{path}:{node.lineno}"


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


def walks():
    """The walks of README's contributing section: what each is of, and its modules in order."""
    text = (ROOT / "README.md").read_text().partition("Three walks")[2].partition("`.ci/run`")[0]
    items = re.findall(r"^- ([^:]+): (.*?)(?=^- |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {name: re.findall(r"`([\w.]+)`", listed) for name, listed in items}


@pytest.mark.parametrize("name", walks())
def test_a_walk_is_twenty_modules_at_most_each_beside_one_that_was_open(graph, name):
    modules = [f"tauopt.{module}" for module in walks()[name]]
    assert 2 < len(modules) <= 20
    assert len(set(modules)) == len(modules)
    for number, module in enumerate(modules):
        importlib.import_module(module)
        imports = graph.find_modules_directly_imported_by(module)
        importers = graph.find_modules_that_directly_import(module)
        assert not number or (imports | importers) & set(modules[:number]), module


def test_there_are_three_walks():
    assert len(walks()) == 3


def test_where_is_what_names_files_that_are_there():
    text = tauopt.__doc__.partition("Where is what::")[2]
    places = re.findall(r"  ([a-z_]+(?:/[a-z_*]+)+|(?<=, )[a-z_]+/[a-z_/*]+)", text)
    assert len(places) > 15
    for place in places:
        assert list((ROOT / "tauopt").glob(f"{place}*" if "*" not in place else place)), place
