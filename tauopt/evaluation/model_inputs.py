"""What a model reads of a prepared dataset: enough to run it on another day and machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tauopt.config.settings.base import Settings
from tauopt.config.settings.experiment import Experiment, Task
from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import group_lengths
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
from tauopt.errors import DataError
from tauopt.metrics.predictions import Predictions
from tauopt.stream.batches import batches
from tauopt.training.prediction import BATCH_SIZE, Predictor

READING = "tauopt.reading"
"""Tag of a registered version: its `ModelInputs` as JSON."""


class ModelInputs(Settings):
    """Task and inputs of a model; features are raw values, so names and order are all."""

    task: Task
    lengths: dict[str, int]
    """Group -> objects kept a candidate."""
    features: dict[str, tuple[str, ...]]
    """Group, or `candidate` -> feature names in order."""


def reading(experiment: Experiment, dataset: PreparedDataset) -> ModelInputs:
    """Return what a model trained by `experiment` on `dataset` reads."""
    lengths = group_lengths(experiment.model)
    spec = input_spec(dataset.manifest, experiment.task, lengths)
    return ModelInputs(task=experiment.task, lengths=lengths, features=_features(spec))


def parse_reading(text: str) -> ModelInputs:
    """Parse the tag that `ModelInputs.model_dump_json` wrote.

    Raises:
        DataError: it is missing or not ours.
    """
    try:
        return ModelInputs.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"the tag {READING} says not what the model reads: {error}") from error


def predict_split(
    model: Any, what: ModelInputs, dataset: PreparedDataset, *, split: SplitReader
) -> Predictions:
    """Run a model over a split, in stored order; candidates outside its task are left out.

    Raises:
        DataError: the dataset has other features, or in another order, than the model reads.
    """
    spec = input_spec(dataset.manifest, what.task, what.lengths)
    found = _features(spec)
    if found != what.features:
        differ = sorted(name for name in what.features if what.features[name] != found.get(name))
        raise DataError(
            f"the model reads other features of {', '.join(differ)} than this dataset has: "
            f"expected {[what.features[n] for n in differ]}, got {[found.get(n) for n in differ]}"
        )
    label_map = task_labels(dataset.manifest.classes, what.task)
    columns = split.columns(["labels", "weights", "event_numbers", *split.spectators])
    labels = label_map[columns.pop("labels")]
    kept = labels >= 0
    stored = batches(split, spec=spec, label_map=label_map, batch_size=BATCH_SIZE, shuffle=False)
    return Predictions(
        Predictor(model)(stored, candidates=int(kept.sum()), alive=lambda: None),
        labels[kept],
        columns.pop("weights")[kept].astype(np.float64),
        classes=spec.classes,
        signal=spec.signal,
        columns={name: values[kept] for name, values in columns.items()},
    )


def first_inputs(
    what: ModelInputs, dataset: PreparedDataset, *, split: SplitReader, candidates: int
) -> dict[str, NDArray[Any]]:
    """Return the model's inputs by name for the first candidates of a split."""
    stored = batches(
        split,
        spec=input_spec(dataset.manifest, what.task, what.lengths),
        label_map=task_labels(dataset.manifest.classes, what.task),
        batch_size=candidates,
        shuffle=False,
    )
    return dict(next(stored).inputs)


def kept_candidates(
    what: ModelInputs, dataset: PreparedDataset, *, split: SplitReader
) -> NDArray[np.bool_]:
    """Return which candidates of a split the task keeps, (candidate) in stored order."""
    label_map = task_labels(dataset.manifest.classes, what.task)
    return np.asarray(label_map[split.columns(["labels"])["labels"]] >= 0)


def _features(spec: InputSpec) -> dict[str, tuple[str, ...]]:
    groups = (spec.candidate, *spec.groups)
    return {group.name: tuple(feature.name for feature in group.features) for group in groups}
