"""Run a saved model over candidates: `predict` does it for every command that judges a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tauopt.config.settings.base import Settings
from tauopt.config.settings.experiment import Experiment, Task
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.dataset.manifest import Manifest
from tauopt.errors import DataError
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.predictions import Predictions
from tauopt.models.model_file import load_model
from tauopt.training.prediction import Predictor

READING = "tauopt.reading"
"""Tag of a registered version: its `ModelInputs` as JSON."""
InputArrays = Mapping[str, NDArray[Any]]
"""Arrays by input name, (candidate, ...) each."""


class ModelInputs(Settings):
    """Task and inputs of a model.

    The model takes physical values and preprocesses them itself, so names and order of the features
    are all that has to be recorded to run it on another day and machine.
    """

    task: Task
    lengths: dict[str, int]
    """Group -> number of objects kept for each candidate."""
    features: dict[str, tuple[str, ...]]
    """Group, or `candidate` -> feature names in order."""


def parse_model_inputs(text: str) -> ModelInputs:
    """Parse the tag that `ModelInputs.model_dump_json` wrote.

    Raises:
        DataError: it is missing, or tauopt did not write it.
    """
    try:
        return ModelInputs.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"the tag {READING} does not hold a model's inputs: {error}") from error


def check_features(inputs: ModelInputs, present: Mapping[str, tuple[str, ...]]) -> None:
    """Check that a dataset has the features of a model, in the model's order.

    Args:
        inputs: of the model.
        present: group, or `candidate` -> feature names of the dataset in order.
    Raises:
        DataError: a group has other features, or in another order.
    """
    names = {CANDIDATE, *inputs.lengths, *inputs.features}
    differ = sorted(name for name in names if inputs.features.get(name) != present.get(name))
    if differ:
        raise DataError(
            f"the model reads other features of {', '.join(differ)} than the dataset has: "
            f"expected {[inputs.features.get(name) for name in differ]}, "
            f"got {[present.get(name) for name in differ]}"
        )


class Truth(NamedTuple):
    """What is known of N candidates beside the model's output."""

    labels: NDArray[np.int16]
    """(N,) index of the true task class."""
    weights: NDArray[np.float64]
    """(N,), may be negative."""
    columns: dict[str, NDArray[Any]]
    """`event_numbers` and spectators by name, (N,) each."""


class EvaluationCandidates(Protocol):
    """Candidates in a fixed order; a task keeps those of its classes."""

    @property
    def description(self) -> str:
        """Which candidates these are, in words, for instance `test split`."""

    @property
    def spectators(self) -> tuple[str, ...]:
        """Names of the columns that are known of them but are no network inputs."""

    @property
    def balanced(self) -> bool:
        """Whether their weights are balanced as the dataset file says."""

    @property
    def manifest(self) -> Manifest | None:
        """Manifest of the dataset that the trial was trained on; None if the dataset is gone."""

    def inputs_of(self, experiment: Experiment) -> ModelInputs:
        """Return what a model that was trained by an experiment reads of them."""

    def batches(self, inputs: ModelInputs) -> Iterator[InputArrays]:
        """Yield the input arrays of those that the task keeps, batch by batch.

        Raises:
            DataError: they lack what the model reads.
        """

    def truth(self, inputs: ModelInputs) -> Truth:
        """Return the truth of those that the task keeps; call it after `batches` has ended."""

    def kept(self, inputs: ModelInputs) -> NDArray[np.bool_]:
        """Return which of all candidates the task keeps, (candidate,)."""

    def sample(
        self, inputs: ModelInputs, *, most: int
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return some of the candidates that the task keeps.

        Args:
            inputs: of the model.
            most: number of candidates, or all of them if there are fewer.
        Returns:
            positions among the kept candidates, (candidate,), and their input arrays by name.
        """


@dataclass(frozen=True)
class LoadedModel:
    """A Keras model in memory, and what it reads."""

    network: Any
    inputs: ModelInputs

    @cached_property
    def _predictor(self) -> Predictor:  # traced by TensorFlow on first use, which takes seconds
        return Predictor(self.network)

    def probabilities(self, batches: Iterable[InputArrays]) -> NDArray[np.float32]:
        """Return class probabilities (candidate, class) in the order of the batches."""
        no_candidates = np.empty((0, len(self.inputs.task.classes)), np.float32)
        return np.concatenate([no_candidates, *self._predictor.each(batches)])


def load(trial: Trial, candidates: EvaluationCandidates) -> LoadedModel:
    """Load a trial's model, to be run over candidates.

    Raises:
        CorruptError: the model's file is not the recorded one, or holds code or layers that tauopt
            does not load.
        DataError: the candidates lack a group or a class that the experiment names.
    """
    inputs = candidates.inputs_of(trial.experiment)
    return LoadedModel(load_model(trial.model, sha256=trial.sha256), inputs)


def predict(model: LoadedModel, candidates: EvaluationCandidates) -> Predictions:
    """Run a model over the candidates that its task keeps, in their order.

    Raises:
        DataError: the candidates lack what the model reads, or there are none.
    """
    task = model.inputs.task
    probabilities = model.probabilities(candidates.batches(model.inputs))
    labels, weights, columns = candidates.truth(model.inputs)
    return Predictions(
        probabilities,
        labels,
        weights,
        classes=tuple(task.classes),
        signal=task.signal,
        columns=columns,
    )
