"""A stretch of training: one call of `fit`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tauopt.errors import DataError, TrialFailed

_OURS = re.compile(r"(CorruptError|DataError): .*")
LOOK_EVERY = 50
"""Batches between looks at the loss, each of which waits for the device."""


@dataclass(frozen=True)
class FitSummary:
    """What a call of `fit` did: batches trained on, and their mean loss."""

    batches: int
    loss: float


def fit(trainee: keras.Model, dataset: Any, *, should_stop: Callable[[], bool]) -> FitSummary:
    """Train on a dataset until it ends or `should_stop` says so, after whole batches.

    Raises:
        TrialFailed: the loss is not finite; noticed within `LOOK_EVERY` batches. Or the network is
            to be compiled and can't be.
        DataError: a batch can't be read.
    """
    watch = _Watch(should_stop)
    try:
        trainee.fit(dataset, epochs=1, verbose=0, shuffle=False, callbacks=[watch])
    except tf.errors.UnknownError as error:  # what TensorFlow makes of a fault in our Python
        found = _OURS.search(error.message)
        if found is None:
            raise
        raise DataError(f"while training: {found[0]}") from error
    except tf.errors.InvalidArgumentError as error:
        if not trainee.jit_compile or watch.batches or "compile" not in error.message:
            raise
        raise TrialFailed(
            f"training.jit_compile: XLA can't compile this network; {error.message.splitlines()[0]}"
        ) from error
    return FitSummary(watch.batches, watch.loss)


class _Watch(keras.callbacks.Callback):
    """Counts batches, looks at the loss, and stops on request."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        super().__init__()
        self.should_stop = should_stop
        self.batches = 0
        self.loss = math.nan

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look after the first batch and now and then; the mean loss never forgets a NaN."""
        if self.batches % LOOK_EVERY == 0:
            self._look(logs)
        self.batches = batch + 1
        if self.should_stop():
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the mean loss of all batches."""
        self._look(logs)

    def _look(self, logs: dict[str, Any] | None) -> None:
        self.loss = float((logs or {}).get("loss", math.nan))
        if not math.isfinite(self.loss):
            raise TrialFailed(
                f"the training loss became {self.loss} in batch {self.batches + 1} of this report; "
                "a smaller learning rate or a clip_norm may help"
            )
