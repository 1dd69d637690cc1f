"""Evaluation candidates from a split of a prepared dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.inputs import CANDIDATE, InputSpec
from tauopt.config.settings.networks import group_lengths
from tauopt.dataset.manifest import Manifest
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
from tauopt.evaluation.predict import InputArrays, ModelInputs, Truth, check_features
from tauopt.stream.batches import batches
from tauopt.training.prediction import BATCH_SIZE


@dataclass(frozen=True)
class SplitCandidates:
    """The candidates of a split, in stored order; see `EvaluationCandidates`."""

    dataset: PreparedDataset
    split: SplitReader

    @property
    def description(self) -> str:
        """Name of the split in words."""
        return f"{self.split.name} split"

    @property
    def spectators(self) -> tuple[str, ...]:
        """Names of the dataset's spectators."""
        return self.split.spectators

    @property
    def balanced(self) -> bool:
        """Always True: preparation has balanced the weights."""
        return True

    @property
    def manifest(self) -> Manifest:
        """Manifest of the dataset."""
        return self.dataset.manifest

    def inputs_of(self, experiment: Experiment) -> ModelInputs:
        """Return what a model that was trained by an experiment on this dataset reads.

        Raises:
            DataError: the dataset lacks a group or a class; names the nearest.
        """
        lengths = group_lengths(experiment.model)
        spec = input_spec(self.manifest, experiment.task, lengths)
        return ModelInputs(task=experiment.task, lengths=lengths, features=_features(spec))

    def batches(self, inputs: ModelInputs) -> Iterator[InputArrays]:
        """Yield input arrays of the candidates that the task keeps, batch by batch.

        Raises:
            DataError: the dataset has other features than the model reads, or in another order.
        """
        return self._batches(inputs, BATCH_SIZE)

    def _batches(self, inputs: ModelInputs, size: int) -> Iterator[InputArrays]:
        spec = input_spec(self.manifest, inputs.task, inputs.lengths)
        check_features(inputs, _features(spec))
        label_map = task_labels(self.manifest.classes, inputs.task)
        stored = batches(self.split, spec=spec, label_map=label_map, batch_size=size, shuffle=False)
        return (batch.inputs for batch in stored)

    def truth(self, inputs: ModelInputs) -> Truth:
        """Return the truth of the candidates that the task keeps."""
        columns = self.split.columns(["labels", "weights", "event_numbers", *self.spectators])
        labels = task_labels(self.manifest.classes, inputs.task)[columns.pop("labels")]
        kept = labels >= 0
        weights = columns.pop("weights")[kept].astype(np.float64)
        return Truth(labels[kept], weights, {name: x[kept] for name, x in columns.items()})

    def kept(self, inputs: ModelInputs) -> NDArray[np.bool_]:
        """Return which of all candidates the task keeps, (candidate,)."""
        label_map = task_labels(self.manifest.classes, inputs.task)
        return np.asarray(label_map[self.split.columns(["labels"])["labels"]] >= 0)

    def sample(
        self, inputs: ModelInputs, *, most: int
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return the first candidates that the task keeps: positions and input arrays."""
        # Preparation has shuffled the split, so the first ones are a random sample.
        arrays = dict(next(self._batches(inputs, most)))
        return np.arange(len(arrays[CANDIDATE])), arrays


def some_chunks(split: SplitReader, *, most: int) -> SplitReader:
    """Return about `most` candidates of a split: evenly spaced chunks of it, at least one.

    Chunks are random samples of a split, except those of a directly streamed dataset.
    """
    step = max(1, round(split.candidates / most))
    return replace(split, chunks=split.chunks[::step])


def _features(spec: InputSpec) -> dict[str, tuple[str, ...]]:
    groups = (spec.candidate, *spec.groups)
    return {group.name: tuple(feature.name for feature in group.features) for group in groups}
