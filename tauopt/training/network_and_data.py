"""What a trial works with: the data as its task sees it, and the network with its optimizer."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tauopt.config.settings.experiment import Experiment, Training
from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import group_lengths
from tauopt.dataset.network_inputs import class_weights, input_spec, task_labels
from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.errors import DataError
from tauopt.metrics.predictions import Predictions
from tauopt.models.build_model import build_trainable
from tauopt.models.hypermodel.compiled_model import CompiledBy
from tauopt.stream.batches import Batch, batches, kept
from tauopt.stream.tf_dataset import feed
from tauopt.training.checkpoints import WeightArrays
from tauopt.training.learning_rate import LearningRate, has_pace
from tauopt.training.losses import keras_loss, mean_loss
from tauopt.training.optimizers import make_optimizer
from tauopt.training.precision import precision_of, twin
from tauopt.training.prediction import BATCH_SIZE, Predictor
from tauopt.training.rungs import Segment
from tauopt.training.train_step import Averages, TrainStepModel


@dataclass(frozen=True)
class TrialData:
    """A prepared dataset as one task sees it; the test split stays sealed.

    Attributes:
        dataset: opened.
        experiment: its task, network and training.
        seed: of the order of candidates.
    """

    dataset: PreparedDataset
    experiment: Experiment
    seed: int

    @cached_property
    def spec(self) -> InputSpec:
        """What the network sees."""
        lengths = group_lengths(self.experiment.model)
        return input_spec(self.dataset.manifest, self.experiment.task, lengths)

    @cached_property
    def label_map(self) -> npt.NDArray[np.int16]:
        """Dataset class -> task class, or -1."""
        return task_labels(self.dataset.manifest.classes, self.experiment.task)

    @cached_property
    def class_weights(self) -> npt.NDArray[np.float32]:
        """Factor on the weights of each task class in the loss."""
        training = self.experiment.training
        return class_weights(
            self.dataset.manifest,
            self.experiment.task,
            training.class_balance,
            factors=training.class_weights,
        )

    @cached_property
    def candidates(self) -> int:
        """Candidates of an epoch."""
        return kept(self.dataset.train, self.label_map)

    def train(self, segment: Segment) -> contextlib.AbstractContextManager[Any]:
        """Give some batches as Keras wants them, each epoch in an order of its own; see `feed`."""

        def make() -> Iterator[Batch]:
            return batches(
                self.dataset.train,
                spec=self.spec,
                label_map=self.label_map,
                batch_size=segment.batch_size,
                next_size=segment.next_size,
                seed=self.seed,
                start=segment.start,
                stop=segment.stop,
                joined=True,
            )

        return feed(
            make,
            spec=self.spec,
            batch_size=segment.batch_size,
            steps=(segment.stop - segment.start) // segment.batch_size,
            class_weights=self.class_weights,
        )

    def validation(self) -> Iterator[Batch]:
        """Yield the validation split in stored order."""
        return batches(
            self.dataset.validation,
            spec=self.spec,
            label_map=self.label_map,
            batch_size=BATCH_SIZE,
            shuffle=False,
        )

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        names = ["labels", "weights", *self.dataset.manifest.spectators]
        columns = self.dataset.validation.columns(names)
        chosen = self.label_map[columns["labels"]] >= 0
        return {name: values[chosen] for name, values in columns.items()}

    def predictions(self, probabilities: npt.NDArray[np.float32]) -> Predictions:
        """Put the truth beside the probabilities of the validation split."""
        columns = dict(self._columns)
        return Predictions(
            probabilities,
            labels=self.label_map[columns.pop("labels")],
            weights=columns.pop("weights").astype(np.float64),
            classes=self.spec.classes,
            signal=self.spec.signal,
            columns=columns,
        )

    def loss(self, predictions: Predictions, *, own: CompiledBy | None = None) -> float:
        """Return the loss on the validation split, weighted as in training.

        Args:
            predictions: of the split.
            own: of a model that brings its own loss.
        Raises:
            DataError: weights do not add up to more than zero.
        """
        weights = predictions.weights * self.class_weights[predictions.labels]
        if not weights.sum() > 0:
            raise DataError("the weights of the validation split do not add up to more than zero")
        if own is not None:
            return own.mean_loss(predictions.probabilities, predictions.labels, weights)
        return mean_loss(
            predictions.probabilities,
            predictions.labels,
            weights,
            training=self.experiment.training,
            spec=self.spec,
        )


class Trainer:
    """A network, and what trains it: its trainee, which shares its weights, and an optimizer.

    What is saved is the network alone, what is fitted the trainee. Where they compute differently
    (`precision.twin`), the trainee has weights of its own, and the network is judged with those.
    """

    def __init__(
        self, spec: InputSpec, experiment: Experiment, *, seed: int, candidates: int
    ) -> None:
        """Build both, with weights that depend on the seed alone.

        Args:
            spec: what the network sees.
            experiment: its model and training.
            seed: of weights and dropout.
            candidates: of all epochs.
        """
        forget_models()
        training: Training = experiment.training

        def build() -> keras.Model:
            return build_trainable(spec, experiment.model, seed=seed)[0]

        self.network, self.own = build_trainable(spec, experiment.model, seed=seed)
        self.precision = precision_of(training)
        self._trained = twin(build, training, precision=self.precision) or self.network
        self.optimizer = self.own.optimizer if self.own else make_optimizer(training)
        if self.precision == "mixed":
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        loss = self.own.loss if self.own else keras_loss(training, spec=spec)
        output = self.own.output_of(self._trained) if self.own else self._trained.output
        self.trainee = TrainStepModel(self._trained.input, output, name="trainee")
        self.trainee.compile(optimizer=self.optimizer, loss=loss, jit_compile=training.jit_compile)
        self.optimizer.build(self.trainee.trainable_variables)
        if has_pace(training):
            self.trainee.pace = LearningRate(training, self.optimizer, total=candidates)
        judged = list(self._trained.variables)
        if training.ema:
            self.trainee.averages = Averages(judged, momentum=training.ema)
            judged = self.trainee.averages.in_place_of(judged)
        self._judged = judged
        self.predictor = Predictor(self.network, weights=judged)

    def predict(self, data: TrialData, *, alive: Callable[[], None]) -> npt.NDArray[np.float32]:
        """Return probabilities of the validation split, (candidate, class)."""
        candidates = kept(data.dataset.validation, data.label_map)
        return self.predictor(data.validation(), candidates=candidates, alive=alive)

    @property
    def learning_rate(self) -> float:
        """Of the optimizer, at present."""
        return float(self.optimizer.learning_rate)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply the optimizer's learning rate; with a schedule, all that are to come."""
        if self.trainee.pace is not None:
            self.trainee.pace.scale(factor)
        self.optimizer.learning_rate = self.learning_rate * factor

    def judged_weights(self) -> WeightArrays:
        """Return copies of the weights that `predict` takes, in the order of the network's."""
        return values(self._judged)

    def adopt(self, weights: WeightArrays) -> None:
        """Make the network, as it is judged and saved, one of these weights; training is over."""
        assign(self.network.variables, weights)
        assign(self._judged, weights)

    def arrays(self) -> dict[str, WeightArrays]:
        """Return copies of all that training changes: weights, seeds of dropout, optimizer."""
        return {purpose: values(variables) for purpose, variables in self._changing().items()}

    def restore(self, arrays: dict[str, WeightArrays]) -> None:
        """Take what `arrays` returned."""
        for purpose, variables in self._changing().items():
            assign(variables, arrays.get(purpose, []))

    def _changing(self) -> dict[str, Sequence[Any]]:
        pace, averages = self.trainee.pace, self.trainee.averages
        return {
            "network": self._trained.variables,
            "optimizer": self.optimizer.variables,
            "pace": pace.variables if pace is not None else [],
            "averages": averages.variables if averages is not None else [],
        }


def values(variables: Sequence[Any]) -> list[npt.NDArray[Any]]:
    """Return copies of the values of Keras variables."""
    return [np.array(variable.numpy()) for variable in variables]


def assign(variables: Sequence[Any], arrays: WeightArrays) -> None:
    """Set Keras variables; as many arrays, of the same shapes."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def forget_models() -> None:
    """Drop what Keras keeps of earlier models of this process, so that trials share nothing."""
    keras.backend.clear_session(free_memory=False)
    collect_garbage()


def collect_garbage() -> None:
    """Free earlier models now, which point at themselves.

    What was imported before the first trial is set aside: walking over TensorFlow's half million
    objects would take longer than all the rest.
    """
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()
