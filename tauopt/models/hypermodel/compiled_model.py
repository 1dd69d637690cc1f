"""The optimizer and loss of a model that its author compiled; labels are converted for the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from tauopt.models.hypermodel.load_hypermodel import WrongModelError

CLIPPED = "clipped"
"""Name of the layer that clips a single output to 0 to 1."""


class OwnLoss(keras.losses.Loss):
    """The user's own loss, called with one-hot labels.

    The labels are converted to what the loss expects: class indices for a sparse loss, the column
    of one class for a model with a single output, one-hot labels for any other loss.

    Args:
        inner: name, function or object of a Keras loss.
        positive_class: index of the class whose probability a single output is; None for one
            output a class.
    """

    def __init__(self, inner: Any, *, positive_class: int | None) -> None:
        loss = keras.losses.get(inner)
        name = getattr(loss, "__name__", "") or type(loss).__name__
        self.loss = loss.call if isinstance(loss, keras.losses.Loss) else loss
        self.positive_class = positive_class
        self.sparse = "sparse" in name.lower()
        super().__init__(name="loss", reduction=getattr(loss, "reduction", "sum_over_batch_size"))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each candidate, (N,)."""
        if self.positive_class is not None:
            y_true = y_true[:, self.positive_class : self.positive_class + 1]
        elif self.sparse:
            y_true = ops.argmax(y_true, axis=-1)
        return self.loss(y_true, y_pred)


@dataclass(frozen=True)
class CompiledBy:
    """A model's own optimizer and loss.

    Attributes:
        optimizer: not built yet.
        loss: loss of one-hot labels and the model's own output.
    """

    optimizer: Any
    loss: OwnLoss

    def output_of(self, network: keras.Model) -> Any:
        """Return the tensor in `network` that the loss is computed from: the model's own output."""
        if self.loss.positive_class is None:
            return network.output
        return network.get_layer(CLIPPED).input

    @property
    def has_schedule(self) -> bool:
        """Whether the optimizer has its own learning-rate schedule."""
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
        column = self.loss.positive_class
        output = probabilities if column is None else probabilities[:, column : column + 1]
        one_hot = np.eye(probabilities.shape[1], dtype=np.float32)[labels]
        losses = ops.convert_to_numpy(self.loss.call(one_hot, output))
        return float(np.average(losses.reshape(len(labels), -1).mean(axis=1), weights=weights))


def compiled_by(model: keras.Model, *, positive_class: int | None) -> CompiledBy | None:
    """Return a model's own optimizer and loss; None if the model is not compiled.

    Args:
        model: as its author returned it.
        positive_class: index of the class whose probability a single output is; None for one
            output a class.
    Raises:
        WrongModelError: the model has no loss, several losses, a loss of logits, or loss weights.
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
            "it is compiled with loss_weights, which scale only the gradient of a single loss: "
            "leave them out, and scale the learning rate where the optimizer needs it"
        )
    return CompiledBy(model.optimizer, OwnLoss(model.loss, positive_class=positive_class))
