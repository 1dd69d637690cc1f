import json
import subprocess
import sys
from pathlib import Path

import pytest

from tauopt.workflows.validate import validate, validate_all

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
HEAVY = ("tensorflow", "keras", "awkward", "ray", "mlflow", "optuna", "uproot", "matplotlib", "numba")  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("path", sorted(ROOT.glob("search_spaces/**/*.yaml")), ids=str)
def test_every_shipped_file_is_valid(path):
    assert validate(path).name


def test_the_summary_has_the_size_of_the_space():
    validated = validate(DATA / "good_experiment.yaml")
    assert validated.summary == "rnn, 2 task classes, 7 ranges, 2 of them continuous"
    assert validated.ranges["training.batch_size"] == "choice [256, 1024]"
    fixed = [f"training.{key}" for key in ("learning_rate=0.1", "momentum=0.1")]
    assert validate(DATA / "good_experiment.yaml", overrides=fixed).summary.endswith(
        "5 ranges, 1848 points"
    )


def test_valid_files_are_returned_beside_problems_of_others():
    good, problems = validate_all([DATA / "good_dataset.yaml", DATA / "bad_name.yaml", "none.yaml"])
    assert [file.name for file in good] == ["small"]
    assert [problem.file for problem in problems] == [str(DATA / "bad_name.yaml"), "none.yaml"]


def command(*arguments):
    """Run the command; its stderr ends with the heavy libraries that it loaded."""
    code = (
        "import sys; from tauopt.cli.app import main\n"
        "try: main()\n"
        f"finally: print('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_bad_configuration_is_refused_without_heavy_libraries():
    bad = [DATA / f"bad_{name}.yaml" for name in ("unknown_key", "wrong_type", "dataset_feature")]
    done = command("validate", *bad)
    assert done.returncode == 2
    assert "LOADED []" in done.stderr
    assert "did you mean 'learning_rate'" in done.stderr
    assert done.stdout == ""


def test_results_are_printed_as_json():
    done = command("validate", "--json", DATA / "good_experiment.yaml", DATA / "bad_name.yaml")
    assert done.returncode == 2
    result = json.loads(done.stdout)
    assert result["files"][0]["defaults"]["model.cell"] == "lstm"
    assert result["problems"][0]["line"] == 2


def test_overrides_reach_the_file():
    done = command("validate", DATA / "good_experiment.yaml", "--set", "training.epochs=x")
    assert done.returncode == 2
    assert "--set training.epochs=x: training.epochs: expected a whole number" in done.stderr
