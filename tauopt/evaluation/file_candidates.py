"""Evaluation candidates from ntuples, which are streamed through the model."""

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
from tauopt.dataset.prepared_dataset import Features
from tauopt.errors import DataError
from tauopt.evaluation.predict import InputArrays, ModelInputs, Truth, check_features
from tauopt.prepare.candidate_blocks import Block, concatenate
from tauopt.prepare.reweight import balance
from tauopt.prepare.stream_files import Streamed
from tauopt.progress import Progress
from tauopt.stream.padding import pad_into
from tauopt.training.prediction import BATCH_SIZE


@dataclass
class FileCandidates:
    """The candidates of some files, in the files' order; see `EvaluationCandidates`.

    Attributes:
        streamed: the files.
        manifest: of the dataset that the trial was trained on; None if the dataset is gone.
        progress: receives the number of entries read.
        balanced: whether weights are balanced as the dataset file says, on these candidates.
    """

    streamed: Streamed
    manifest: Manifest | None
    progress: Progress
    balanced: bool = field(default=True, init=False)
    # Features are held for one step of reading only; class, weight, event number and spectators of
    # every candidate stay in memory.
    _light: Block | None = field(default=None, init=False, repr=False)
    """All candidates without features, once the files were read."""

    @property
    def description(self) -> str:
        """Name of the file, or the number of files."""
        names = [file.path.name for file in self.streamed.files]
        return names[0] if len(names) == 1 else f"{len(names)} files"

    @property
    def spectators(self) -> tuple[str, ...]:
        """Names of the dataset file's spectators."""
        return tuple(self.streamed.dataset.spectators)

    def inputs_of(self, experiment: Experiment) -> ModelInputs:
        """Return what a model that was trained by an experiment reads, by its own dataset file."""
        lengths, data = group_lengths(experiment.model), experiment.data
        features = {CANDIDATE: tuple(data.candidate)}
        features |= {name: tuple(data.groups[name].features) for name in lengths}
        return ModelInputs(task=experiment.task, lengths=lengths, features=features)

    def batches(self, inputs: ModelInputs) -> Iterator[InputArrays]:
        """Read the files and yield input arrays of the candidates that the task keeps.

        Raises:
            DataError: the files lack what the model reads, or hold no candidate of the task.
        """
        data, label_map = self.streamed.dataset, self._label_map(inputs)
        present = {CANDIDATE: tuple(data.candidate)}
        present |= {name: tuple(group.features) for name, group in data.groups.items()}
        check_features(inputs, {name: present[name] for name in present if name in inputs.features})
        light, candidates, dropped = [], 0, Counter[str]()
        for block in self.streamed.blocks(dropped, progress=self.progress):
            kept = block.take(label_map[block.labels] >= 0)
            yield from input_batches(kept, lengths=inputs.lengths)
            candidates += len(kept)
            light.append(block.without_features())
        for reason, count in dropped.items():
            if count:
                self.progress.say(f"left out: {count:,} ({reason})")
        if not candidates:
            raise DataError(
                f"{self.description}: no candidate passes the selection and is of one of the "
                f"task's classes, {', '.join(inputs.task.classes)}"
            )
        if self._light is None:
            self._light = self._balanced(concatenate(light))

    def truth(self, inputs: ModelInputs) -> Truth:
        """Return the truth of the candidates that the task keeps; call it after `batches`."""
        label_map, light = self._label_map(inputs), self._all()
        kept = light.take(label_map[light.labels] >= 0)
        columns = {name: kept.spectators[:, i] for i, name in enumerate(self.spectators)}
        return Truth(
            label_map[kept.labels], kept.weights, {"event_numbers": kept.event_numbers, **columns}
        )

    def kept(self, inputs: ModelInputs) -> NDArray[np.bool_]:
        """Return which of all candidates the task keeps, (candidate,); call it after `batches`."""
        return np.asarray(self._label_map(inputs)[self._all().labels] >= 0)

    def sample(
        self, inputs: ModelInputs, *, most: int
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return evenly spaced candidates that the task keeps: positions and input arrays."""
        total = int(self.kept(inputs).sum())
        positions = np.arange(min(most, total)) * total // min(most, total)
        label_map = self._label_map(inputs)
        chosen, begin = [], 0
        for block in self.streamed.blocks(Counter(), progress=self.progress):
            kept = block.take(label_map[block.labels] >= 0)
            inside = positions[(positions >= begin) & (positions < begin + len(kept))] - begin
            chosen.append(kept.take(inside))
            begin += len(kept)
        rows = np.arange(len(positions))
        return positions, padded_inputs(concatenate(chosen), rows, lengths=inputs.lengths)

    def _label_map(self, inputs: ModelInputs) -> NDArray[np.int16]:
        return task_labels(tuple(self.streamed.dataset.classes), inputs.task)

    def _all(self) -> Block:
        if self._light is None:
            raise RuntimeError("expected that `batches` has read the files before")
        return self._light

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


def input_batches(
    features: Block | Features, *, lengths: Mapping[str, int]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield a model's input arrays by name for all candidates, at most `BATCH_SIZE` at a time.

    Args:
        features: `candidate` (candidate, feature), and `groups` as values (object, feature) with
            offsets (candidate + 1).
        lengths: group -> number of objects kept for each candidate.
    """
    total = len(features.candidate)
    for begin in range(0, total, BATCH_SIZE):
        rows = np.arange(begin, min(begin + BATCH_SIZE, total))
        yield padded_inputs(features, rows, lengths=lengths)


def padded_inputs(
    features: Block | Features, rows: NDArray[np.int64], *, lengths: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    """Return a model's input arrays by name for some candidates, objects padded with zeros.

    Args:
        features, lengths: as in `input_batches`.
        rows: (row,) the candidates.
    Returns:
        `candidate` (row, feature) float32; for each group (row, length, feature) float32 and its
        mask (row, length) bool, True = real object.
    """
    arrays: dict[str, NDArray[Any]] = {CANDIDATE: np.ascontiguousarray(features.candidate[rows])}
    for name, length in lengths.items():
        values, offsets = features.groups[name]
        padded = np.empty((len(rows), length, values.shape[1]), np.float32)
        mask = np.empty((len(rows), length), np.bool_)
        # The compiled loop takes contiguous arrays only.
        jagged = np.ascontiguousarray(values), np.ascontiguousarray(offsets)
        pad_into(jagged, rows, out=padded, mask=mask)
        arrays |= {name: padded, mask_name(name): mask}
    return arrays
