"""A model that its author compiled keeps optimizer and loss; labels are turned into their form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from tauopt.models.hypermodel.load_hypermodel import WrongModelError

CLIPPED = "clipped"
"""Name of the layer behind a single output."""


class OwnLoss(keras.losses.Loss):
    """A loss of the user's own, of one-hot labels.

    A sparse one gets the indices of the classes, one of a single output its class's column, any
    other one the labels as they are.
    """

    def __init__(self, inner: Any, *, of_two: int | None) -> None:
        """Take a loss as Keras takes it, and the class of a single output of two."""
        loss = keras.losses.get(inner)
        self.loss = loss.call if isinstance(loss, keras.losses.Loss) else loss
        self.of_two = of_two
        self.sparse = "sparse" in _name(loss).lower()
        super().__init__(name="loss", reduction=getattr(loss, "reduction", "sum_over_batch_size"))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each candidate, (N,)."""
        if self.of_two is not None:
            y_true = y_true[:, self.of_two : self.of_two + 1]
        elif self.sparse:
            y_true = ops.argmax(y_true, axis=-1)
        return self.loss(y_true, y_pred)


@dataclass(frozen=True)
class CompiledBy:
    """A model's own optimizer and loss.

    Attributes:
        optimizer: not built yet.
        loss: on one-hot labels and the model's own output.
    """

    optimizer: Any
    loss: OwnLoss

    def output_of(self, network: keras.Model) -> Any:
        """Return what the loss is taken of: the output of the model within its network."""
        if self.loss.of_two is None:
            return network.output
        return network.get_layer(CLIPPED).input

    @property
    def has_schedule(self) -> bool:
        """Whether the learning rate follows a schedule of its own."""
        rate = getattr(self.optimizer, "_learning_rate", None)
        return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)

    def mean_loss(
        self,
        probabilities: npt.NDArray[np.float32],
        labels: npt.NDArray[np.integer],
        weights: npt.NDArray[np.floating],
    ) -> float:
        """Return the weighted mean of the loss.

        Args:
            probabilities: (candidate, class).
            labels: (candidate,) index of the true class.
            weights: (candidate,) as in training: physics weights times class weights.
        """
        of_two = self.loss.of_two
        output = probabilities if of_two is None else probabilities[:, of_two : of_two + 1]
        one_hot = np.eye(probabilities.shape[1], dtype=np.float32)[labels]
        losses = ops.convert_to_numpy(self.loss.call(one_hot, output))
        return float(np.average(losses.reshape(len(labels), -1).mean(axis=1), weights=weights))


def compiled(model: keras.Model, *, of_two: int | None) -> CompiledBy | None:
    """Return a model's own optimizer and loss; None if it is not compiled.

    Args:
        model: as its author returned it.
        of_two: index of the class of which a single output is the probability; None for one
            output a class.
    Raises:
        WrongModelError: it has no loss, several, one of logits, or a weight of its loss.
    """
    if not model.compiled:
        return None
    if model.loss is None or isinstance(model.loss, (dict, list, tuple)):
        raise WrongModelError(f"it is compiled with loss={model.loss!r}; expected one loss")
    if getattr(model.loss, "from_logits", False):
        raise WrongModelError(
            "it is compiled with from_logits=True; its output must be probabilities: end it in "
            "softmax or sigmoid"
        )
    if (model.get_compile_config() or {}).get("loss_weights") is not None:
        raise WrongModelError(
            "it is compiled with loss_weights, which on one loss only scale its gradient: leave "
            "them out, and scale the learning rate where the optimizer minds"
        )
    return CompiledBy(model.optimizer, OwnLoss(model.loss, of_two=of_two))


def _name(loss: Any) -> str:
    return getattr(loss, "__name__", "") or type(loss).__name__
