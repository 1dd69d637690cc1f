"""Prediction: class probabilities of a whole split, and all outputs of a saved model."""

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
"""Candidates a batch for prediction, where no gradients are needed."""


class Predictor:
    """A model as a TensorFlow function that is traced once, on first use."""

    def __init__(
        self, model: keras.Model, *, weights: Sequence[keras.Variable] | None = None
    ) -> None:
        """Take a model whose inputs have names.

        Args:
            model: a network, or a saved model with its scores.
            weights: variables used in place of the model's, in their order, with their values at
                each call; None means the model's own.
        """
        model = only_probabilities(model)
        variables = model.variables
        signature = _signature(model)

        def predict(inputs: dict[str, Any]) -> Any:
            with keras.StatelessScope(list(zip(variables, weights or variables, strict=True))):
                return model(inputs, training=False)

        self._names = tuple(signature)
        self._classes = int(model.outputs[0].shape[-1])
        self._predict: Callable[[dict[str, Any]], Any] = tf.function(
            predict, input_signature=[signature], autograph=False
        )

    def calling(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Callable[[], npt.NDArray[Any]]:
        """Return a function that runs the model on the same inputs at each call.

        Args:
            inputs: arrays by input name, (candidate, ...) each; names that are no inputs of the
                model are ignored.
        """
        tensors = {name: tf.constant(inputs[name]) for name in self._names}
        return lambda: np.asarray(self._predict(tensors))

    def __call__(
        self, batches: Iterable[Batch], *, candidates: int, alive: Callable[[], None]
    ) -> npt.NDArray[np.float32]:
        """Return probabilities (candidate, class) float32 in the order of the batches.

        Args:
            batches: batches of candidates.
            candidates: number of candidates of all batches.
            alive: called before each batch; may raise to stop the prediction.
        """
        result = np.empty((candidates, self._classes), np.float32)
        end = 0

        def inputs() -> Iterator[Mapping[str, npt.NDArray[Any]]]:
            for batch in batches:
                alive()
                yield batch.inputs

        for probabilities in self.each(inputs()):
            begin, end = end, end + len(probabilities)
            result[begin:end] = probabilities
        return result

    def each(
        self, batches: Iterable[Mapping[str, npt.NDArray[Any]]]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the probabilities (candidate, class) float32 of each batch.

        Args:
            batches: arrays by input name, (candidate, ...) each; names that are no inputs of the
                model are ignored.
        """
        for inputs in batches:
            tensors = {name: tf.constant(inputs[name]) for name in self._names}
            yield np.asarray(self._predict(tensors))


class AllOutputs:
    """A saved model as a function from input arrays to all its outputs by name, with scores."""

    def __init__(self, model: keras.Model) -> None:
        """Take a model whose inputs and outputs have names."""
        signature = _signature(model)
        self.blank = {
            name: np.ones((1, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
            for name, spec in signature.items()
        }
        """Inputs of one artificial candidate, all ones."""
        self._call: Callable[[Mapping[str, Any]], Mapping[str, Any]] = tf.function(
            lambda inputs: model(inputs, training=False),
            input_signature=[signature],
            autograph=False,
        )

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return every output for some candidates, (candidate, ...) each."""
        tensors = {name: tf.constant(inputs[name]) for name in self.blank}
        return {name: np.asarray(values) for name, values in self._call(tensors).items()}


def _signature(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """Return the signature of a model's inputs by name, for any number of candidates."""
    return {x.name: tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in model.inputs}
