"""Feed batches into `tf.data`, at the speed of batches that are ready in memory.

A call from TensorFlow into Python costs 1 to 2 ms, whatever its size. So a call returns a block of
several batches, and TensorFlow cuts it into batches again.
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
from tauopt.errors import TauoptError
from tauopt.stream.batches import Batch

BatchArrays = tuple[npt.NDArray[Any], ...]

PREFETCH = 4
"""Batches that are prepared ahead of the network."""


@contextlib.contextmanager
def feed(
    make_blocks: Callable[[], Iterator[Batch]],
    *,
    spec: InputSpec,
    batch_size: int,
    steps: int,
    class_weights: npt.NDArray[np.float32] | None = None,
) -> Iterator[tf.data.Dataset]:
    """Provide batches as a `tf.data.Dataset` within a `with` block, the same in each iteration.

    The dataset allows one iteration at a time, and none after the block. TensorFlow hands on an
    exception of Python as text only: where reading fails, the block ends with the exception itself.

    Args:
        make_blocks: called at the start of each iteration. A block holds whole batches, except the
            last one of an epoch (`batches` with `joined`).
        spec: names and shapes of the inputs.
        batch_size: candidates a batch.
        steps: batches in an iteration; fewer are an error, further ones are ignored.
        class_weights: (task class) float32, factors on the weights of candidates; None means 1.
    Raises:
        DataError: a batch can't be read.
    Yields:
        A dataset; its elements are (inputs by name, one-hot labels (N, class) float32, weights (N,)
        float32).
    """
    signature = _signature(spec)
    flat = tf.nest.flatten(signature)
    blocks = _Blocks(make_blocks, _Columns(spec, class_weights))

    def cut(number: tf.Tensor) -> tf.data.Dataset:
        """Get one block from Python and cut it into its batches."""
        arrays = tf.numpy_function(blocks, [number], [s.dtype for s in flat])
        for array, expected in zip(arrays, flat, strict=True):
            array.set_shape(expected.shape)
        block = tf.nest.pack_sequence_as(signature, arrays)
        return tf.data.Dataset.from_tensors(block).rebatch(batch_size)

    # not `from_generator`, which takes 35 ms more to build and start, in every report of a trial
    endless = tf.data.Dataset.range(np.iinfo(np.int64).max)
    dataset = endless.flat_map(cut).take(steps)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    options.autotune.enabled = False  # it stalls at the end of each iterator (TF 2.21)
    try:
        yield dataset.prefetch(PREFETCH).with_options(options)
    except tf.errors.OpError as error:
        if blocks.fault is None:
            raise
        raise blocks.fault from error
    finally:
        # TensorFlow keeps every function given to `numpy_function` until the process ends; without
        # this it would keep the chunks and batches too
        blocks.close()


class _Columns:
    """Convert a block to arrays, in the order of the flattened signature."""

    def __init__(self, spec: InputSpec, class_weights: npt.NDArray[np.float32] | None) -> None:
        classes = len(spec.classes)
        self.factors = np.ones(classes, np.float32) if class_weights is None else class_weights
        self.one_hot = np.eye(classes, dtype=np.float32)

    def __call__(self, block: Batch) -> BatchArrays:
        weights = block.weights * self.factors[block.labels]
        element = block.inputs, self.one_hot[block.labels], weights.astype(np.float32)
        return tuple(tf.nest.flatten(element))


class _Blocks:
    """Return block 0, 1, 2, ... to TensorFlow; block 0 begins an iteration."""

    def __init__(self, make_blocks: Callable[[], Iterator[Batch]], columns: _Columns) -> None:
        self.make_blocks: Callable[[], Iterator[Batch]] | None = make_blocks
        self.columns = columns
        self.blocks: Iterator[Batch] = iter(())
        self.expected = 0
        self.fault: TauoptError | None = None
        """What went wrong while reading."""
        self.lock = threading.Lock()
        """Keeps two simultaneous iterations, which are an error, from reading at the same time."""

    def close(self) -> None:
        """Release the chunks and batches; wait for a block that is being read."""
        with self.lock:
            self.make_blocks, self.blocks = None, iter(())

    def __call__(self, number: np.int64) -> BatchArrays:
        with self.lock:
            if self.make_blocks is None:
                raise RuntimeError("the dataset was iterated after the block of `feed` had ended")
            if number == 0:
                self.blocks, self.expected = self.make_blocks(), 0
            if number != self.expected:
                raise RuntimeError(
                    "the dataset of `feed` allows one iteration at a time; make another one"
                )
            self.expected += 1
            try:
                block = next(self.blocks, None)
            except TauoptError as error:
                self.fault = error
                raise
        if block is None:
            raise ValueError("fewer batches were made than `steps`")
        return self.columns(block)


def _signature(spec: InputSpec) -> Any:
    # the first axis has no fixed length, so that a short batch does not trace the graph again
    inputs = {CANDIDATE: tf.TensorSpec((None, len(spec.candidate.features)), tf.float32)}
    for name, length in spec.lengths.items():
        features = len(spec.group(name).features)
        inputs[name] = tf.TensorSpec((None, length, features), tf.float32)
        inputs[mask_name(name)] = tf.TensorSpec((None, length), tf.bool)
    labels = tf.TensorSpec((None, len(spec.classes)), tf.float32)
    return inputs, labels, tf.TensorSpec((None,), tf.float32)
