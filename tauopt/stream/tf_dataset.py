"""Batches -> `tf.data`, at the speed of ready batches in memory.

A call from TensorFlow into Python costs 1 to 2 ms whatever it brings. So batches are handed over
several at a time, joined, and TensorFlow cuts them apart again. That is done with the fewest
stages: `from_generator` takes 35 ms more to build and to begin, which every report of every trial
would pay.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tauopt.config.settings.inputs import CANDIDATE, InputSpec, mask_name
from tauopt.stream.batches import Batch

BatchArrays = tuple[npt.NDArray[Any], ...]

PREFETCH = 4
"""Batches that wait ready for the network."""


@contextlib.contextmanager
def feed(
    make_blocks: Callable[[], Iterator[Batch]],
    *,
    spec: InputSpec,
    batch_size: int,
    steps: int,
    class_weights: npt.NDArray[np.float32] | None = None,
) -> Iterator[tf.data.Dataset]:
    """Give batches to Keras for the length of the block, the same ones in each iteration.

    TensorFlow keeps every function given to `numpy_function` until the process ends. So chunks and
    the batches made of them are let go of when the block is left: nothing is read after it.

    The first axis has no fixed length, so that batches of another size do not compile a graph anew.
    The dataset is for one iteration at a time; faults while reading come as `tf.errors.OpError`
    that hold the fault's own name and message.

    Args:
        make_blocks: called at the start of each iteration. A block holds whole batches, but for
            the last one of an epoch (`batches` with `joined`).
        spec: names and shapes of the inputs.
        batch_size: candidates a batch.
        steps: batches in an iteration; fewer made are an error, further ones are left.
        class_weights: (task class) float32, factors on the weights of candidates; None means 1.
    Yields:
        A dataset; its elements are (inputs by name, one-hot labels (N, class) float32, weights (N,)
        float32).
    """
    signature = _signature(spec)
    flat = tf.nest.flatten(signature)
    blocks = _Blocks(make_blocks, _Columns(spec, class_weights))

    def cut(number: tf.Tensor) -> tf.data.Dataset:
        """Bring one block from Python and cut it into its batches."""
        arrays = tf.numpy_function(blocks, [number], [s.dtype for s in flat])
        for array, expected in zip(arrays, flat, strict=True):
            array.set_shape(expected.shape)
        block = tf.nest.pack_sequence_as(signature, arrays)
        return tf.data.Dataset.from_tensors(block).rebatch(batch_size)

    endless = tf.data.Dataset.range(np.iinfo(np.int64).max)
    dataset = endless.flat_map(cut).take(steps)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    options.autotune.enabled = False  # it stalls at the end of each iterator (TF 2.21)
    try:
        yield dataset.prefetch(PREFETCH).with_options(options)
    finally:
        blocks.close()


class _Columns:
    """Turns a block into arrays, in the order of the flattened signature."""

    def __init__(self, spec: InputSpec, class_weights: npt.NDArray[np.float32] | None) -> None:
        classes = len(spec.classes)
        self.factors = np.ones(classes, np.float32) if class_weights is None else class_weights
        self.one_hot = np.eye(classes, dtype=np.float32)

    def __call__(self, block: Batch) -> BatchArrays:
        weights = block.weights * self.factors[block.labels]
        element = block.inputs, self.one_hot[block.labels], weights.astype(np.float32)
        return tuple(tf.nest.flatten(element))


class _Blocks:
    """Answers TensorFlow's call for block 0, 1, 2, ...; block 0 begins an iteration."""

    def __init__(self, make_blocks: Callable[[], Iterator[Batch]], columns: _Columns) -> None:
        self.make_blocks: Callable[[], Iterator[Batch]] | None = make_blocks
        self.columns = columns
        self.blocks: Iterator[Batch] = iter(())
        self.expected = 0
        self.lock = threading.Lock()
        """Of two iterations at once, which are an error, none reads in the midst of the other."""

    def close(self) -> None:
        """Let go of all that is read from; a block that is being made is waited for."""
        with self.lock:
            self.make_blocks, self.blocks = None, iter(())

    def __call__(self, number: np.int64) -> BatchArrays:
        with self.lock:
            if self.make_blocks is None:
                raise RuntimeError("a fed dataset is iterated after the block that it was made for")
            if number == 0:
                self.blocks, self.expected = self.make_blocks(), 0
            if number != self.expected:
                raise RuntimeError("a fed dataset is for one iteration at a time; make another")
            self.expected += 1
            block = next(self.blocks, None)
        if block is None:
            raise ValueError("fewer batches were made than the stated number of steps")
        return self.columns(block)


def _signature(spec: InputSpec) -> Any:
    inputs = {CANDIDATE: tf.TensorSpec((None, len(spec.candidate.features)), tf.float32)}
    for name, length in spec.lengths.items():
        features = len(spec.group(name).features)
        inputs[name] = tf.TensorSpec((None, length, features), tf.float32)
        inputs[mask_name(name)] = tf.TensorSpec((None, length), tf.bool)
    labels = tf.TensorSpec((None, len(spec.classes)), tf.float32)
    return inputs, labels, tf.TensorSpec((None,), tf.float32)
