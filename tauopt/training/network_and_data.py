"""Data and network of a trial: the dataset as its task sees it, the network and its optimizer."""

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
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
from tauopt.errors import DataError
from tauopt.metrics.predictions import Predictions
from tauopt.models.build_model import build_trainable
from tauopt.models.hypermodel.compiled_model import CompiledBy
from tauopt.stream.batches import Batch, batches, kept
from tauopt.stream.tf_dataset import feed
from tauopt.training.checkpoints import WeightArrays
from tauopt.training.learning_rate import LearningRate, rate_varies
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
        dataset: the opened dataset.
        experiment: task, network and training.
        seed: seed of the order of candidates.
    """

    dataset: PreparedDataset
    experiment: Experiment
    seed: int

    @cached_property
    def spec(self) -> InputSpec:
        """Inputs and classes of the network."""
        lengths = group_lengths(self.experiment.model)
        return input_spec(self.dataset.manifest, self.experiment.task, lengths)

    @cached_property
    def label_map(self) -> npt.NDArray[np.int16]:
        """Index of dataset class -> index of task class, or -1 if it is left out."""
        return task_labels(self.dataset.manifest.classes, self.experiment.task)

    @cached_property
    def class_weights(self) -> npt.NDArray[np.float32]:
        """Factor on the candidate weights in the loss, (task class,)."""
        training = self.experiment.training
        return class_weights(
            self.dataset.manifest,
            self.experiment.task,
            training.class_balance,
            factors=training.class_weights,
        )

    @cached_property
    def candidates(self) -> int:
        """Number of candidates in an epoch."""
        return kept(self.dataset.train, self.label_map)

    def train(self, segment: Segment) -> contextlib.AbstractContextManager[Any]:
        """Yield a segment's batches as Keras's `fit` takes them; each epoch has its own order.

        See `feed`.
        """

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
    def seen_candidates(self) -> int:
        """Training candidates on which overtraining is measured: about as many as validation's."""
        validation = kept(self.dataset.validation, self.label_map)
        return min(self.candidates, -(-validation // BATCH_SIZE) * BATCH_SIZE)

    def seen(self) -> Iterator[Batch]:
        """Yield the first `seen_candidates` of the training split in stored order."""
        return batches(
            self.dataset.train,
            spec=self.spec,
            label_map=self.label_map,
            batch_size=BATCH_SIZE,
            shuffle=False,
            stop=self.seen_candidates,
        )

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return self._columns_of(self.dataset.validation)

    @cached_property
    def _seen_columns(self) -> dict[str, npt.NDArray[Any]]:
        columns = self._columns_of(self.dataset.train)
        return {name: values[: self.seen_candidates] for name, values in columns.items()}

    def _columns_of(self, split: SplitReader) -> dict[str, npt.NDArray[Any]]:
        columns = split.columns(["labels", "weights", *self.dataset.manifest.spectators])
        chosen = self.label_map[columns["labels"]] >= 0
        return {name: values[chosen] for name, values in columns.items()}

    def predictions(self, probabilities: npt.NDArray[np.float32]) -> Predictions:
        """Return probabilities (candidate, class) of the validation split with their truth."""
        return self._with_truth(probabilities, self._columns)

    def seen_predictions(self, probabilities: npt.NDArray[np.float32]) -> Predictions:
        """Return probabilities (candidate, class) of `seen` with their truth."""
        return self._with_truth(probabilities, self._seen_columns)

    def _with_truth(
        self, probabilities: npt.NDArray[np.float32], known: dict[str, npt.NDArray[Any]]
    ) -> Predictions:
        columns = dict(known)
        return Predictions(
            probabilities,
            labels=self.label_map[columns.pop("labels")],
            weights=columns.pop("weights").astype(np.float64),
            classes=self.spec.classes,
            signal=self.spec.signal,
            columns=columns,
        )

    def loss(self, predictions: Predictions, *, compiled_by: CompiledBy | None = None) -> float:
        """Return the loss on the validation split, weighted as in training.

        Args:
            predictions: predictions of the split.
            compiled_by: optimizer and loss of a user's HyperModel; None takes the settings' loss.
        Raises:
            DataError: weights do not add up to more than zero.
        """
        weights = predictions.weights * self.class_weights[predictions.labels]
        if not weights.sum() > 0:
            raise DataError("the weights of the validation split do not add up to more than zero")
        if compiled_by is not None:
            return compiled_by.mean_loss(predictions.probabilities, predictions.labels, weights)
        return mean_loss(
            predictions.probabilities,
            predictions.labels,
            weights,
            training=self.experiment.training,
            spec=self.spec,
        )


class Trainer:
    """A network, the Keras model that trains it, and its optimizer.

    The network is saved; `model` adds loss, schedule and weight averages for `fit`, and shares the
    network's weights. Where it computes differently (`precision.twin`), it has its own weights, and
    the network is evaluated with those.
    """

    def __init__(
        self, spec: InputSpec, experiment: Experiment, *, seed: int, candidates: int
    ) -> None:
        """Build network and model, with weights that depend on the seed alone.

        Args:
            spec: inputs and classes of the network.
            experiment: settings of model and training.
            seed: seed of weights and dropout.
            candidates: number of candidates of all epochs.
        """
        forget_models()
        training: Training = experiment.training

        def build() -> keras.Model:
            return build_trainable(spec, experiment.model, seed=seed)[0]

        self.network, self.compiled_by = build_trainable(spec, experiment.model, seed=seed)
        self.precision = precision_of(training)
        self._trained_network = twin(build, training, precision=self.precision) or self.network
        if self.compiled_by:
            self.optimizer, loss = self.compiled_by.optimizer, self.compiled_by.loss
            output = self.compiled_by.output_of(self._trained_network)
        else:
            self.optimizer, loss = make_optimizer(training), keras_loss(training, spec=spec)
            output = self._trained_network.output
        if self.precision == "mixed":
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        self.model = TrainStepModel(self._trained_network.input, output, name="training")
        self.model.compile(optimizer=self.optimizer, loss=loss, jit_compile=training.jit_compile)
        self.optimizer.build(self.model.trainable_variables)
        if rate_varies(training):
            self.model.schedule = LearningRate(training, self.optimizer, total=candidates)
        evaluated = list(self._trained_network.variables)
        if training.ema:
            self.model.averages = Averages(evaluated, momentum=training.ema)
            evaluated = self.model.averages.in_place_of(evaluated)
        self._evaluated = evaluated
        self.predictor = Predictor(self.network, weights=evaluated)

    def predict(self, data: TrialData, *, alive: Callable[[], None]) -> npt.NDArray[np.float32]:
        """Return probabilities of the validation split, (candidate, class) float32."""
        candidates = kept(data.dataset.validation, data.label_map)
        return self.predictor(data.validation(), candidates=candidates, alive=alive)

    def predict_seen(
        self, data: TrialData, *, alive: Callable[[], None]
    ) -> npt.NDArray[np.float32]:
        """Return probabilities of the training candidates of `TrialData.seen`."""
        return self.predictor(data.seen(), candidates=data.seen_candidates, alive=alive)

    @property
    def learning_rate(self) -> float:
        """Present learning rate of the optimizer."""
        return float(self.optimizer.learning_rate)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply the optimizer's learning rate and, with a schedule, all later rates."""
        if self.model.schedule is not None:
            self.model.schedule.scale(factor)
        self.optimizer.learning_rate = self.learning_rate * factor

    def evaluated_weights(self) -> WeightArrays:
        """Return copies of the weights that `predict` uses, in the order of the network's."""
        return values(self._evaluated)

    def adopt(self, weights: WeightArrays) -> None:
        """Set the weights of the network for evaluation and saving, when training is over."""
        assign(self.network.variables, weights)
        assign(self._evaluated, weights)

    def arrays(self) -> dict[str, WeightArrays]:
        """Return copies of all that training changes: weights, seeds of dropout, optimizer."""
        return {purpose: values(variables) for purpose, variables in self._variables().items()}

    def restore(self, arrays: dict[str, WeightArrays]) -> None:
        """Set all that training changes to values from `arrays`."""
        for purpose, variables in self._variables().items():
            assign(variables, arrays.get(purpose, []))

    def _variables(self) -> dict[str, Sequence[Any]]:
        """Return the variables that training changes, by their purpose in checkpoints."""
        schedule, averages = self.model.schedule, self.model.averages
        return {
            "network": self._trained_network.variables,
            "optimizer": self.optimizer.variables,
            "pace": schedule.variables if schedule is not None else [],
            "averages": averages.variables if averages is not None else [],
        }


def values(variables: Sequence[Any]) -> list[npt.NDArray[Any]]:
    """Return copies of the values of Keras variables."""
    return [np.array(variable.numpy()) for variable in variables]


def assign(variables: Sequence[Any], arrays: WeightArrays) -> None:
    """Set Keras variables to as many arrays of the same shapes."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def forget_models() -> None:
    """Clear Keras's state of earlier models in this process, so that trials share nothing."""
    keras.backend.clear_session(free_memory=False)
    collect_garbage()


def collect_garbage() -> None:
    """Free earlier models now: they hold reference cycles, so only the collector frees them."""
    gc.collect()
    # Imported objects are excluded from later collections: visiting TensorFlow's half million would
    # take longer than all the rest.
    if not gc.get_freeze_count():
        gc.freeze()
