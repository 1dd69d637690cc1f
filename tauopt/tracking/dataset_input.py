"""Record the prepared dataset of a run as an MLflow dataset input."""

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
    """A prepared dataset as MLflow shows it.

    Attributes:
        name: name of the dataset.
        digest: SHA-256 of its content, hexadecimal; MLflow gets the first 16 digits, as in the name
            of the dataset's folder.
        folder: path of the prepared dataset.
        profile: numbers to show, e.g. candidates of each split and class.
        features: names of the network's input features, e.g. `tracks.pt`.
        context: use of the dataset in the run.
    """

    name: str
    digest: str
    folder: str
    profile: Mapping[str, int | float] = field(default_factory=dict)
    features: Sequence[str] = ()
    context: str = "training"


def log_dataset(client: MlflowClient, run_id: str, dataset: DatasetInput) -> None:
    """Add a dataset to the inputs of a run; a second call changes nothing."""
    from mlflow import entities

    columns = [{"name": name, "type": "float", "required": True} for name in dataset.features]
    entity = entities.Dataset(
        name=dataset.name,
        digest=dataset.digest[:16],
        source_type="local",
        source=json.dumps({"uri": Path(dataset.folder).absolute().as_uri()}),
        schema=json.dumps({"mlflow_colspec": columns}) if columns else None,
        profile=json.dumps(dict(dataset.profile), sort_keys=True),
    )
    tags = [entities.InputTag("mlflow.data.context", dataset.context)]
    client.log_inputs(run_id, [entities.DatasetInput(dataset=entity, tags=tags)])
