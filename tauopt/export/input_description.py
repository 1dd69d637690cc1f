"""What a framework needs to fill an exported model's inputs, as plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tauopt
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.inputs import CANDIDATE, Feature, mask_name
from tauopt.config.settings.networks import group_lengths
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.working_points.working_point_set import WorkingPoints

_UNITS = re.compile(r"_(mev|gev|tev|mm|cm|um|ns|ps|rad)$", re.IGNORECASE)
_SPELLED = {"mev": "MeV", "gev": "GeV", "tev": "TeV"}
IN_ITS_UNITS = "as in the ntuples"
"""Unit of a feature whose name tells none: networks take what the expression gives, as it is."""


def describe(
    trial: Trial, outputs: Mapping[str, tuple[int | None, ...]], points: WorkingPoints | None
) -> dict[str, Any]:
    """Describe inputs, outputs and working points of a trial's model.

    Args:
        trial: with its experiment.
        outputs: shape of each output of the model by name; the first axis is the candidate.
        points: of the model; None if it has none.
    Returns:
        JSON values; the README says what they mean.
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
            "told": "the network has only learned candidates that all of these keep",
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
    """Return the properties that an ONNX file carries: the main ones apart, and all as JSON.

    Args:
        description: from `describe`.
        text: the same as JSON.
    """
    variables = {
        one["name"]: [feature["name"] for feature in one["features"]]
        for one in description["inputs"]
        if "features" in one
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
    found: list[dict[str, Any]] = [candidate]
    for name, length in lengths.items():
        group = data.groups[name]
        mask = mask_name(name)
        found += [
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
    return found


def _features(features: Mapping[str, Feature]) -> list[dict[str, str]]:
    return [
        {"name": name, "expression": text, "unit": _unit(text)}
        for name, text in ((name, one.expression or name) for name, one in features.items())
    ]


def _unit(expression: str) -> str:
    found = _UNITS.search(expression)
    return _SPELLED.get(found[1].lower(), found[1].lower()) if found else IN_ITS_UNITS


def _columns(output: str, trial: Trial) -> list[str]:
    """Name the columns of an output's last axis; none of one number a candidate."""
    task = trial.experiment.task
    if output == "probabilities":
        return list(task.classes)
    if output == "mode_scores":
        return [name for name in task.classes if name in task.signal]
    return []


def file_names(folder: Path) -> dict[str, Path]:
    """Return where the parts of an export lie: `onnx`, `keras`, `json`."""
    return {kind: folder / f"model.{kind}" for kind in ("onnx", "keras", "json")}
