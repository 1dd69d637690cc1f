"""A trial's model as files for other software: ONNX, Keras, and what fills its inputs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tauopt.durable import new_folder, write_json
from tauopt.errors import UsageError
from tauopt.evaluation.recorded_trial import Trial
from tauopt.export.input_description import describe, file_names, metadata
from tauopt.export.onnx_file import write_onnx
from tauopt.metrics.working_points.working_point_set import FILE, WorkingPoints
from tauopt.models.model_file import load_model
from tauopt.models.output_scores import PROBABILITIES


def export(trial: Trial, folder: Path, *, points: WorkingPoints | None) -> dict[str, Path]:
    """Write a trial's model into a new folder.

    Args:
        trial: with its model's file.
        folder: to be made; appears when all in it is whole.
        points: working points of the model; None if it has none.
    Returns:
        the files by kind: `onnx`, `keras`, `json` (see `describe`).
    Raises:
        UsageError: the folder is there, or the extra `onnx` is not installed.
        CorruptError: the model was altered, or holds what may not be loaded.
        DataError: a layer has no counterpart in ONNX.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; expected the name of a new folder")
    model = load_model(trial.model, sha256=trial.sha256)
    description = describe(trial, output_shapes(model), points)
    text = json.dumps(description, separators=(",", ":"), allow_nan=False)
    with new_folder(folder) as temporary:
        files = file_names(temporary)
        write_onnx(model, files["onnx"], metadata=metadata(description, text))
        shutil.copyfile(trial.model, files["keras"])
        write_json(files["json"], description)
        if points:
            write_json(temporary / FILE, points.as_json())
    return file_names(folder)


def output_shapes(model: Any) -> dict[str, tuple[int | None, ...]]:
    """Return the shape of each output by name; probabilities alone have no name of their own."""
    outputs = model.output if isinstance(model.output, dict) else {PROBABILITIES: model.output}
    return {name: tuple(tensor.shape) for name, tensor in outputs.items()}
