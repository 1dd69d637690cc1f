"""Export a trial's model as files for other software: ONNX, Keras, and a description in JSON."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tauopt
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.inputs import CANDIDATE, Feature, mask_name
from tauopt.config.settings.networks import group_lengths
from tauopt.durable import new_folder, write_json
from tauopt.errors import UsageError
from tauopt.evaluation.recorded_trial import Trial
from tauopt.export.onnx_file import write_onnx
from tauopt.metrics.working_points.working_point_set import FILE, WorkingPoints
from tauopt.models.model_file import load_model
from tauopt.models.output_scores import MODE_SCORES, PROBABILITIES

_UNITS = re.compile(r"_(mev|gev|tev|mm|cm|um|ns|ps|rad)$", re.IGNORECASE)
_SPELLED = {"mev": "MeV", "gev": "GeV", "tev": "TeV"}
UNIT_OF_NTUPLES = "as in the ntuples"
"""Unit of a feature whose expression does not end in a unit: the model takes its values as they
are in the ntuples."""


def export(trial: Trial, folder: Path, *, points: WorkingPoints | None) -> dict[str, Path]:
    """Write a trial's model into a new folder.

    Args:
        trial: with its model's file.
        folder: to be made; appears once all in it is complete.
        points: working points of the model; None if it has none.
    Returns:
        the files by kind: `onnx`, `keras`, `json` (see `describe`).
    Raises:
        UsageError: the folder exists, or the extra `onnx` is not installed.
        CorruptError: the model was altered, or holds what may not be loaded.
        DataError: a layer has no counterpart in ONNX.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; expected the name of a new folder")
    model = load_model(trial.model, sha256=trial.sha256)
    # A model whose only output is the probabilities has no names of outputs.
    outputs = model.output if isinstance(model.output, dict) else {PROBABILITIES: model.output}
    shapes = {name: tuple(tensor.shape) for name, tensor in outputs.items()}
    description = describe(trial, shapes, points)
    text = json.dumps(description, separators=(",", ":"), allow_nan=False)
    with new_folder(folder) as temporary:
        files = _file_names(temporary)
        write_onnx(model, files["onnx"], metadata=metadata(description, text))
        shutil.copyfile(trial.model, files["keras"])
        write_json(files["json"], description)
        if points:
            write_json(temporary / FILE, points.as_json())
    return _file_names(folder)


def _file_names(folder: Path) -> dict[str, Path]:
    return {kind: folder / f"model.{kind}" for kind in ("onnx", "keras", "json")}


def describe(
    trial: Trial, outputs: Mapping[str, tuple[int | None, ...]], points: WorkingPoints | None
) -> dict[str, Any]:
    """Describe inputs, outputs and working points of a model as JSON values.

    Args:
        trial: of the model.
        outputs: output name -> shape; the first axis is the candidate.
        points: working points of the model; None if it has none.
    Returns:
        JSON values, which the README explains.
    """
    experiment, data = trial.experiment, trial.experiment.data
    return {
        "model": experiment.name,
        "tauopt_version": tauopt.__version__,
        "run_id": trial.run_id,
        "keras_sha256": trial.sha256,
        "dataset": {"name": data.name, "digest": trial.dataset_digest},
        "classes": list(experiment.task.classes),
        "signal": list(experiment.task.signal),
        "layout": data.layout.model_dump(mode="json"),
        "candidates": {
            "selection": [text for text in (data.selection, *data.cuts.values()) if text],
            "told": "the network was trained only on candidates that pass all of these",
        },
        "inputs": _inputs(data, group_lengths(experiment.model)),
        "outputs": [
            {"name": name, "dtype": "float32", "shape": [None, *shape[1:]],
             "columns": _columns(name, trial)}
            for name, shape in outputs.items()
        ],
        "working_points": points.as_json() if points else None,
    }  # fmt: skip


def metadata(description: Mapping[str, Any], text: str) -> dict[str, str]:
    """Return the properties of an ONNX file: the main ones by themselves, and all as JSON.

    Args:
        description: from `describe`.
        text: `description` as JSON.
    """
    variables = {
        model_input["name"]: [feature["name"] for feature in model_input["features"]]
        for model_input in description["inputs"]
        if "features" in model_input
    }
    return {
        "tauopt_version": str(description["tauopt_version"]),
        "keras_sha256": str(description["keras_sha256"]),
        "classes": ",".join(description["classes"]),
        "signal": ",".join(description["signal"]),
        "variables": ";".join(f"{name}:{','.join(names)}" for name, names in variables.items()),
        "description": text,
    }


def _inputs(data: Dataset, lengths: Mapping[str, int]) -> list[dict[str, Any]]:
    candidate = {
        "name": CANDIDATE,
        "dtype": "float32",
        "shape": [None, len(data.candidate)],
        "features": _features(data.candidate),
    }
    inputs: list[dict[str, Any]] = [candidate]
    for name, length in lengths.items():
        group = data.groups[name]
        mask = mask_name(name)
        inputs += [
            {
                "name": name,
                "dtype": "float32",
                "shape": [None, length, len(group.features)],
                "features": _features(group.features),
                "select": group.select or None,
                "order_by": group.order_by or None,
                "order": "descending" if group.order_by else "as in the ntuples",
                "longer": f"the first {length} objects are kept",
                "padding": 0.0,
                "mask": mask,
            },
            {
                "name": mask,
                "dtype": "bool",
                "shape": [None, length],
                "told": f"true for the objects of {name}, which come first; false for padding",
            },
        ]
    return inputs


def _features(features: Mapping[str, Feature]) -> list[dict[str, str]]:
    return [
        {"name": name, "expression": text, "unit": _unit(text)}
        for name, text in ((key, feature.expression or key) for key, feature in features.items())
    ]


def _unit(expression: str) -> str:
    match = _UNITS.search(expression)
    return _SPELLED.get(match[1].lower(), match[1].lower()) if match else UNIT_OF_NTUPLES


def _columns(output: str, trial: Trial) -> list[str]:
    """Name the columns of an output's last axis; none if it is one number per candidate."""
    task = trial.experiment.task
    if output == PROBABILITIES:
        return list(task.classes)
    if output == MODE_SCORES:
        return [name for name in task.classes if name in task.signal]
    return []
