"""Candidates that trials are evaluated on: those of ntuples, streamed through the model.

Features are held for one step of reading; of every candidate no more stays than its class, weight,
event number and spectators, and what the model says of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.inputs import CANDIDATE, mask_name
from tauopt.config.settings.networks import group_lengths
from tauopt.dataset.manifest import Manifest
from tauopt.dataset.network_inputs import task_labels
from tauopt.errors import DataError
from tauopt.evaluation.model_inputs import ModelInputs
from tauopt.metrics.predictions import Predictions
from tauopt.prepare.candidate_blocks import Block, ObjectColumns, concatenate
from tauopt.prepare.reweight import balance
from tauopt.prepare.stream_files import Streamed
from tauopt.progress import Progress
from tauopt.stream.batches import Batch
from tauopt.stream.padding import pad_into
from tauopt.training.prediction import BATCH_SIZE, Predictor


@dataclass
class FileCandidates:
    """The candidates of some files.

    Attributes:
        streamed: the files.
        manifest: of the trial's dataset, for the record; None where it is not at hand.
        progress: told of entries.
        balanced: whether weights are balanced as the dataset file says, on these candidates.
    """

    streamed: Streamed
    manifest: Manifest | None
    progress: Progress
    balanced: bool = field(default=True, init=False)
    _light: Block | None = field(default=None, init=False, repr=False)
    """All candidates, without features."""

    @property
    def told(self) -> str:
        """Which files they are of."""
        names = [file.path.name for file in self.streamed.files]
        return names[0] if len(names) == 1 else f"{len(names)} files"

    @property
    def spectators(self) -> tuple[str, ...]:
        """Names of the dataset's spectators."""
        return tuple(self.streamed.dataset.spectators)

    def reading(self, experiment: Experiment) -> ModelInputs:
        """Return what a model of an experiment reads, by its own dataset file."""
        lengths, data = group_lengths(experiment.model), experiment.data
        features = {CANDIDATE: tuple(data.candidate)}
        features |= {name: tuple(data.groups[name].features) for name in lengths}
        return ModelInputs(task=experiment.task, lengths=lengths, features=features)

    def run(self, model: Any, what: ModelInputs) -> Predictions:
        """Read the files and return what a model says of the candidates that its task keeps.

        Raises:
            DataError: the files lack what the model reads, or hold no candidate.
        """
        self._check(what)
        label_map = task_labels(tuple(self.streamed.dataset.classes), what.task)
        predict, found = Predictor(model), []
        light, dropped = [], Counter[str]()
        for block in self.streamed.blocks(dropped, progress=self.progress):
            kept = block.take(label_map[block.labels] >= 0)
            if len(kept):
                found.append(predict(_batches(kept, what), candidates=len(kept), alive=_alive))
            light.append(block.without_features())
        for reason, count in dropped.items():
            if count:
                self.progress.say(f"left out: {count:,} ({reason})")
        if not found:
            raise DataError(f"{self.told}: no candidate is selected and of the task's classes")
        if self._light is None:
            self._light = self._balanced(concatenate(light))
        kept = self._light.take(label_map[self._light.labels] >= 0)
        columns = {name: kept.spectators[:, i] for i, name in enumerate(self.spectators)}
        return Predictions(
            np.concatenate(found),
            label_map[kept.labels],
            kept.weights,
            classes=tuple(what.task.classes),
            signal=what.task.signal,
            columns={"event_numbers": kept.event_numbers, **columns},
        )

    def kept(self, what: ModelInputs) -> NDArray[np.bool_]:
        """Return which of all candidates a task keeps, (candidate); after a first `run`."""
        if self._light is None:
            raise RuntimeError("candidates are known once a model was run on them")
        label_map = task_labels(tuple(self.streamed.dataset.classes), what.task)
        return np.asarray(label_map[self._light.labels] >= 0)

    def sample(
        self, what: ModelInputs, *, most: int
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return evenly spread candidates that a task keeps: their numbers, and a model's inputs.

        Args:
            what: the model reads.
            most: how many.
        """
        total = int(self.kept(what).sum())
        chosen = np.arange(min(most, total)) * total // min(most, total)
        label_map = task_labels(tuple(self.streamed.dataset.classes), what.task)
        parts, begin = [], 0
        for block in self.streamed.blocks(Counter(), progress=self.progress):
            kept = block.take(label_map[block.labels] >= 0)
            inside = chosen[(chosen >= begin) & (chosen < begin + len(kept))] - begin
            parts.append(kept.take(inside))
            begin += len(kept)
        return chosen, model_inputs(concatenate(parts), what)

    def _check(self, what: ModelInputs) -> None:
        data = self.streamed.dataset
        found: Mapping[str, tuple[str, ...]] = {
            CANDIDATE: tuple(data.candidate),
            **{name: tuple(group.features) for name, group in data.groups.items()},
        }
        differ = [name for name, names in what.features.items() if found.get(name) != names]
        if differ:
            raise DataError(
                f"the model reads other features of {', '.join(differ)} than the dataset file has: "
                f"expected {[what.features[n] for n in differ]}, "
                f"got {[found.get(n) for n in differ]}"
            )

    def _balanced(self, block: Block) -> Block:
        """Balance weights as the dataset file says; leave them where a class it needs is absent."""
        data = self.streamed.dataset
        if data.reweight is None and not data.proportions:
            return block
        try:
            return balance(data, lambda: [block]).apply(block)
        except DataError as error:
            self.progress.say(f"weights stay as they are: {error}")
            self.balanced = False
            return block


def model_inputs(block: Block, what: ModelInputs) -> dict[str, NDArray[Any]]:
    """Return a model's inputs by name for the candidates of a block."""
    rows = np.arange(len(block), dtype=np.int64)
    inputs: dict[str, NDArray[Any]] = {CANDIDATE: np.ascontiguousarray(block.candidate)}
    for name, length in what.lengths.items():
        inputs |= padded(block.groups[name], rows, name=name, length=length)
    return inputs


def padded(
    objects: ObjectColumns, rows: NDArray[np.int64], *, name: str, length: int
) -> dict[str, NDArray[Any]]:
    """Return a group's two inputs by name for some candidates.

    Args:
        objects: values (object, feature) and offsets (candidate + 1).
        rows: (row,) the candidates.
        name: of the group.
        length: objects kept a candidate.
    Returns:
        (row, length, feature) float32, and the mask (row, length).
    """
    values, offsets = objects
    found = np.empty((len(rows), length, values.shape[1]), np.float32)
    mask = np.empty((len(rows), length), np.bool_)
    jagged = np.ascontiguousarray(values), np.ascontiguousarray(offsets)
    pad_into(jagged, rows, out=found, mask=mask)
    return {name: found, mask_name(name): mask}


def _batches(block: Block, what: ModelInputs) -> Iterator[Batch]:
    for begin in range(0, len(block), BATCH_SIZE):
        part = block.slice(begin, min(begin + BATCH_SIZE, len(block)))
        labels, weights = part.labels, part.weights.astype(np.float32)
        yield Batch(model_inputs(part, what), labels, weights)


def _alive() -> None:
    """Let the model run."""
