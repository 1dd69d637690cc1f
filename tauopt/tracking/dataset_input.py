"""The prepared dataset as an MLflow dataset input: which data a run has seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class DatasetInput:
    """What MLflow shows of a prepared dataset.

    Attributes:
        name: of the dataset.
        digest: SHA-256 of its content; the first 16 digits, as in its folder's name, are shown.
        folder: where it lies.
        profile: numbers to show, e.g. candidates of each split and class.
        features: names of what the network sees, e.g. `tracks.pt`.
        context: what the run did with it.
    """

    name: str
    digest: str
    folder: str
    profile: Mapping[str, int | float] = field(default_factory=dict)
    features: Sequence[str] = ()
    context: str = "training"


def log_dataset(client: MlflowClient, run_id: str, dataset: DatasetInput) -> None:
    """Tell MLflow which dataset a run uses; twice is once."""
    from mlflow import entities

    columns = [{"name": name, "type": "float", "required": True} for name in dataset.features]
    shown = entities.Dataset(
        name=dataset.name,
        digest=dataset.digest[:16],
        source_type="local",
        source=json.dumps({"uri": Path(dataset.folder).absolute().as_uri()}),
        schema=json.dumps({"mlflow_colspec": columns}) if columns else None,
        profile=json.dumps(dict(dataset.profile), sort_keys=True),
    )
    tags = [entities.InputTag("mlflow.data.context", dataset.context)]
    client.log_inputs(run_id, [entities.DatasetInput(dataset=shown, tags=tags)])
