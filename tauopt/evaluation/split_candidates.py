"""Candidates that trials are evaluated on: those of a prepared dataset's split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.dataset.manifest import Manifest
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
from tauopt.evaluation.model_inputs import (
    ModelInputs,
    first_inputs,
    kept_candidates,
    predict_split,
    reading,
)
from tauopt.metrics.predictions import Predictions


class EvaluationCandidates(Protocol):
    """Candidates in an order that stays; a task keeps those of its classes."""

    @property
    def told(self) -> str:
        """Which they are, in words."""

    @property
    def spectators(self) -> tuple[str, ...]:
        """Names of what is known of them beside what networks see."""

    @property
    def balanced(self) -> bool:
        """Whether their weights are balanced as the dataset file says."""

    @property
    def manifest(self) -> Manifest | None:
        """The dataset that they, or the trial's, are of; None where it is not at hand."""

    def reading(self, experiment: Experiment) -> ModelInputs:
        """Return what a model of an experiment reads of them."""

    def run(self, model: Any, what: ModelInputs) -> Predictions:
        """Return what a model says of those that its task keeps.

        Raises:
            DataError: they lack what the model reads.
        """

    def kept(self, what: ModelInputs) -> NDArray[np.bool_]:
        """Return which of all candidates a task keeps, (candidate)."""

    def sample(
        self, what: ModelInputs, *, most: int
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return some candidates that a task keeps: their numbers, and a model's inputs by name.

        Args:
            what: the model reads.
            most: how many, if there are so many.
        """


@dataclass(frozen=True)
class SplitCandidates:
    """The candidates of a split."""

    dataset: PreparedDataset
    split: SplitReader

    @property
    def told(self) -> str:
        """Which split it is."""
        return f"{self.split.name} split"

    @property
    def spectators(self) -> tuple[str, ...]:
        """Names of the dataset's spectators."""
        return self.split.spectators

    @property
    def balanced(self) -> bool:
        """Preparation has balanced them."""
        return True

    @property
    def manifest(self) -> Manifest:
        """That of the dataset."""
        return self.dataset.manifest

    def reading(self, experiment: Experiment) -> ModelInputs:
        """Return what a model of an experiment reads of them."""
        return reading(experiment, self.dataset)

    def run(self, model: Any, what: ModelInputs) -> Predictions:
        """Return what a model says of those that its task keeps."""
        return predict_split(model, what, self.dataset, split=self.split)

    def kept(self, what: ModelInputs) -> NDArray[np.bool_]:
        """Return which of all candidates a task keeps, (candidate)."""
        return kept_candidates(what, self.dataset, split=self.split)

    def sample(
        self, what: ModelInputs, *, most: int
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return the first candidates that a task keeps, which are mixed like all others."""
        inputs = first_inputs(what, self.dataset, split=self.split, candidates=most)
        return np.arange(len(inputs[CANDIDATE])), inputs


def some_chunks(split: SplitReader, *, most: int) -> SplitReader:
    """Return chunks from all over a split that hold about so many candidates, at least one chunk.

    Chunks are random samples of a split, but for those that are streamed directly.
    """
    step = max(1, round(split.candidates / most))
    return replace(split, chunks=split.chunks[::step])
