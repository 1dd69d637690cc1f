"""One call of Keras's `fit`, on batches of one size, with checks of the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tauopt.errors import TrialFailed

CHECK_EVERY = 50
"""Batches between checks of the loss: each check waits for the device."""


@dataclass(frozen=True)
class FitSummary:
    """Number of batches that a call of `fit` trained on, and their mean loss."""

    batches: int
    loss: float


def fit(model: keras.Model, dataset: Any, *, should_stop: Callable[[], bool]) -> FitSummary:
    """Train on a dataset until it ends, or `should_stop` returns True after a batch.

    Raises:
        TrialFailed: the loss is not finite, which is noticed within `CHECK_EVERY` batches; or XLA
            can't compile the network.
    """
    watch = _Watch(should_stop)
    try:
        model.fit(dataset, epochs=1, verbose=0, shuffle=False, callbacks=[watch])
    except tf.errors.InvalidArgumentError as error:
        if not model.jit_compile or watch.batches or "compile" not in error.message:
            raise
        raise TrialFailed(
            f"training.jit_compile: XLA can't compile this network; {error.message.splitlines()[0]}"
        ) from error
    return FitSummary(watch.batches, watch.loss)


class _Watch(keras.callbacks.Callback):
    """Counts batches, checks the loss, and stops on request."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        super().__init__()
        self.should_stop = should_stop
        self.batches = 0
        self.loss = math.nan

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss every `CHECK_EVERY` batches: a NaN stays in its running mean."""
        if self.batches % CHECK_EVERY == 0:
            self._check_loss(logs)
        self.batches = batch + 1
        if self.should_stop():
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the mean loss of all batches."""
        self._check_loss(logs)

    def _check_loss(self, logs: dict[str, Any] | None) -> None:
        self.loss = float((logs or {}).get("loss", math.nan))
        if not math.isfinite(self.loss):
            raise TrialFailed(
                f"the training loss became {self.loss} in batch {self.batches + 1} of this report; "
                "a smaller learning rate or a clip_norm may help"
            )
