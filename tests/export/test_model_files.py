"""Exported models give the scores of their networks, and describe their inputs."""

import json
import shutil
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import CorruptError, UsageError
from tauopt.export.export_check import LIMIT, compare, largest_differences
from tauopt.export.onnx_file import OnnxModel, write_onnx
from tauopt.models.build_model import build_model
from tauopt.models.model_file import load_model, save_model
from tauopt.models.output_scores import with_scores
from tauopt.training.prediction import AllOutputs
from tauopt.workflows.export import export
from tests.evaluation.trials import MODES as OF_MODES
from tests.evaluation.trials import experiment, train
from tests.models.specs import MODES, SMALL, batch, spec_for

LEAST_ALIKE = ("rnn", "transformer", "deeptau")
"""Recurrent cells, attention, convolutions over cells: the operations that can be wrong."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in LEAST_ALIKE else pytest.mark.slow) for name in SMALL],
)
def test_every_network_gives_the_same_scores_as_onnx(name, tmp_path):
    spec = spec_for(SMALL[name], classes=("jet", *MODES))
    network = build_model(spec, SMALL[name], seed=1)
    save_model(with_scores(network, classes=spec.classes, signal=MODES), tmp_path / "m.keras")
    model = load_model(tmp_path / "m.keras")
    write_onnx(model, tmp_path / "m.onnx", metadata={"variables": "some"})
    exported = OnnxModel(tmp_path / "m.onnx")
    inputs = batch(spec, size=200)
    check = compare(exported, AllOutputs(model), [inputs, batch(spec, size=3, seed=5)])
    assert check.candidates == 203
    assert set(check.differences) == {"probabilities", "signal_score", "mode_scores"}
    assert check.passed, check.differences
    assert exported.metadata["variables"] == "some"


@pytest.fixture(scope="module")
def trial(tmp_path_factory, dataset):
    settings = experiment(task=OF_MODES, epochs=1)
    return train(tmp_path_factory.mktemp("runs") / "t000", dataset, settings)


def test_the_command_writes_three_files_and_checks_them(trial, output, tmp_path):
    words = ["export", str(trial), "--to", str(tmp_path / "out"), "-o", str(output), "--check"]
    ran = CliRunner().invoke(build_app(), [*words, "--json"])
    assert ran.exit_code == 0, ran.output
    printed = json.loads(ran.stdout)
    assert printed["check"]["candidates"] > 500
    assert printed["check"]["largest"] <= LIMIT
    assert min(printed["check"]["onnx_per_s"], printed["check"]["keras_per_s"]) > 0
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.onnx", "model.keras", "model.json", "working_points.json"} >= files
    assert (tmp_path / "out" / "model.keras").read_bytes() == (trial / "best.keras").read_bytes()
    model = OnnxModel(tmp_path / "out" / "model.onnx")
    description = json.loads((tmp_path / "out" / "model.json").read_text())
    assert json.loads(model.metadata["description"]) == description
    assert {node["name"] for node in description["inputs"]} == set(model.inputs)
    assert {node["name"] for node in description["outputs"]} == set(model.outputs)
    with pytest.raises(UsageError, match="exists; expected the name of a new folder"):
        export(str(trial), to=tmp_path / "out", output=output)


def test_an_altered_model_is_not_exported(trial, output, tmp_path):
    altered = shutil.copytree(trial, tmp_path / "altered")
    with (altered / "best.keras").open("ab") as file:
        file.write(b"!")
    with pytest.raises(CorruptError, match="was altered"):
        export(str(altered), to=tmp_path / "out", output=output)
    assert not (tmp_path / "out").exists()


def test_without_the_extra_the_error_names_the_command_that_installs_it(
    trial, output, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'tauopt\[onnx\]'"):
        export(str(trial), to=tmp_path / "out", output=output)
    assert not (tmp_path / "out").exists()


def test_a_difference_is_found_wherever_it_is():
    rng = np.random.default_rng(1)
    expected = {"probabilities": rng.random((50, 3), np.float32), "signal_score": rng.random(50)}
    outputs = {name: values.copy() for name, values in expected.items()}
    outputs["signal_score"][17] += 0.25
    differences = largest_differences(outputs, expected)
    assert differences == {"probabilities": 0.0, "signal_score": pytest.approx(0.25)}
    outputs["probabilities"][3, 1] = np.nan
    assert largest_differences(outputs, expected)["probabilities"] == np.inf


def test_a_file_that_is_no_onnx_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(CorruptError, match="is no ONNX file"):
        OnnxModel(tmp_path / "a.onnx")
