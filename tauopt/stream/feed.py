"""Batches -> `tf.data`, at the speed of ready batches in memory.

A call from TensorFlow into Python costs about 2 ms whatever it brings. So batches are handed over
in blocks of some thousand candidates, and TensorFlow cuts these into the same batches again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tauopt.config.inputs import CANDIDATE, InputSpec, mask_name
from tauopt.stream.batches import Batch

BLOCK = 4096
"""Candidates handed over at once, about."""

PREFETCH = 4
"""Batches that wait ready for the network."""


def feed(
    make_batches: Callable[[], Iterator[Batch]],
    *,
    spec: InputSpec,
    class_weights: npt.NDArray[np.float32] | None = None,
    steps: int | None = None,
) -> tf.data.Dataset:
    """Give batches to Keras: the same ones, in the same order, each time the dataset is iterated.

    The first axis has no fixed length, so that a short last batch does not compile a graph anew.

    Args:
        make_batches: called at the start of each iteration. A batch may be shorter than the ones
            before it, as at the end of an epoch.
        spec: names and shapes of the inputs.
        class_weights: (task class) float32, factors on the weights of candidates; None means 1.
        steps: batches in an iteration, if known; Keras then knows where it ends.
    Returns:
        Elements (inputs by name, one-hot labels (N, class) float32, weights (N,) float32).
    """
    factors = np.ones(len(spec.classes), np.float32) if class_weights is None else class_weights
    one_hot = np.eye(len(spec.classes), dtype=np.float32)

    def elements() -> Iterator[Any]:
        for block in _blocks(make_batches()):
            labels = np.concatenate([batch.labels for batch in block])
            weights = np.concatenate([batch.weights for batch in block]) * factors[labels]
            inputs = {
                name: _joined([batch.inputs[name] for batch in block]) for name in block[0].inputs
            }
            yield (inputs, one_hot[labels], weights.astype(np.float32)), len(block[0].labels)

    dataset = tf.data.Dataset.from_generator(
        elements, output_signature=(_signature(spec), tf.TensorSpec((), tf.int64))
    )
    dataset = dataset.flat_map(
        lambda block, size: tf.data.Dataset.from_tensors(block).rebatch(size)
    )
    if steps is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    options.autotune.enabled = False  # it stalls at the end of each iterator (TF 2.21)
    return dataset.prefetch(PREFETCH).with_options(options)


def _blocks(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """Group successive batches of one size, to about `BLOCK` candidates; a short one ends it."""
    block: list[Batch] = []
    for batch in batches:
        if block and len(batch.labels) > len(block[0].labels):
            yield block
            block = []
        block.append(batch)
        size = len(block[0].labels)
        if len(batch.labels) < size or (len(block) + 1) * size > BLOCK:
            yield block
            block = []
    if block:
        yield block


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _signature(spec: InputSpec) -> Any:
    inputs = {CANDIDATE: tf.TensorSpec((None, len(spec.candidate.features)), tf.float32)}
    for name, length in spec.lengths.items():
        features = len(spec.group(name).features)
        inputs[name] = tf.TensorSpec((None, length, features), tf.float32)
        inputs[mask_name(name)] = tf.TensorSpec((None, length), tf.bool)
    labels = tf.TensorSpec((None, len(spec.classes)), tf.float32)
    return inputs, labels, tf.TensorSpec((None,), tf.float32)
