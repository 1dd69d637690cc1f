"""Class probabilities of a whole split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tauopt.models.output_scores import only_probabilities
from tauopt.stream.batches import Batch

BATCH_SIZE = 8192
"""Candidates a batch where no gradients are needed."""


class Predictor:
    """A model as a function that is traced once, on first use, and never again."""

    def __init__(
        self, model: keras.Model, *, weights: Sequence[keras.Variable] | None = None
    ) -> None:
        """Take a model whose inputs have names.

        Args:
            model: a network, or a saved model with its scores.
            weights: what stands in for the model's variables, in their order; looked at anew in
                each call. None means its own.
        """
        model = only_probabilities(model)
        own = model.variables
        signature = _signature(model)

        def predict(inputs: dict[str, Any]) -> Any:
            with keras.StatelessScope(list(zip(own, weights or own, strict=True))):
                return model(inputs, training=False)

        self._names = tuple(signature)
        self._classes = int(model.outputs[0].shape[-1])
        self._predict: Callable[[dict[str, Any]], Any] = tf.function(
            predict, input_signature=[signature], autograph=False
        )

    def calling(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Callable[[], npt.NDArray[Any]]:
        """Return a function that runs the model on the same inputs at each call.

        Args:
            inputs: (candidate, ...) each; other names than the model's are left out.
        """
        ready = {name: tf.constant(inputs[name]) for name in self._names}
        return lambda: np.asarray(self._predict(ready))

    def __call__(
        self, batches: Iterable[Batch], *, candidates: int, alive: Callable[[], None]
    ) -> npt.NDArray[np.float32]:
        """Return probabilities (candidate, class) float32 in the order of the batches.

        Args:
            batches: in the order wanted.
            candidates: in all of them.
            alive: called before each batch; may raise to end it.
        """
        found = np.empty((candidates, self._classes), np.float32)
        end = 0

        def inputs() -> Iterator[Mapping[str, npt.NDArray[Any]]]:
            for batch in batches:
                alive()
                yield batch.inputs

        for probabilities in self.each(inputs()):
            begin, end = end, end + len(probabilities)
            found[begin:end] = probabilities
        return found

    def each(
        self, batches: Iterable[Mapping[str, npt.NDArray[Any]]]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the probabilities (candidate, class) float32 of each batch.

        Args:
            batches: arrays by input name, (candidate, ...) each; other names than the model's are
                left out.
        """
        for inputs in batches:
            tensors = {name: tf.constant(inputs[name]) for name in self._names}
            yield np.asarray(self._predict(tensors))


class AllOutputs:
    """A saved model as a function from arrays to arrays by name, its scores among them."""

    def __init__(self, model: keras.Model) -> None:
        """Take a model whose inputs and outputs have names."""
        signature = _signature(model)
        self.blank = {
            name: np.ones((1, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
            for name, spec in signature.items()
        }
        """One made-up candidate."""
        self._call: Callable[[Mapping[str, Any]], Mapping[str, Any]] = tf.function(
            lambda inputs: model(inputs, training=False),
            input_signature=[signature],
            autograph=False,
        )

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return every output for some candidates, (candidate, ...) each."""
        ready = {name: tf.constant(inputs[name]) for name in self.blank}
        return {name: np.asarray(values) for name, values in self._call(ready).items()}


def _signature(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """Return a model's inputs by name, of any number of candidates."""
    return {x.name: tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in model.inputs}
