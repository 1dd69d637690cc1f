"""Shuffle the candidates of an epoch: blocks over a chunk, candidates within two batches.

Chunks are uniform samples of the dataset already, except direct ones, whose candidates have the
order of the input files, sample by sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from tauopt.stream.compiled_loops import compiled

BLOCK = 32
"""Neighbours on disk that are moved together: 1.6 times the speed of shuffling single candidates,
since memory is read in pieces longer than a cache line."""

Integers = npt.NDArray[np.int64]


def chunk_order(chunks: int, *, seed: int, epoch: int) -> Integers:
    """Return the order of an epoch's chunks, (chunk) int64."""
    order = np.arange(chunks)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


def chunk_generator(chunk: int, *, seed: int, epoch: int) -> np.random.Generator:
    """Return the random generator of one chunk, which makes its order independent of others."""
    return np.random.default_rng([seed, epoch, 1 + chunk])


def shuffle_rows(
    rows: Integers,
    *,
    batch_size: int,
    rng: np.random.Generator,
    first: int = 0,
    block: int = BLOCK,
) -> Integers:
    """Assign a chunk's rows to batches: by blocks, then one by one within windows of two batches.

    Args:
        rows: (row) int64 in stored order.
        batch_size: candidates a batch.
        rng: the chunk's random generator.
        first: rows that complete a batch begun in another chunk, less than `batch_size`.
        block: neighbours that are moved together; 1 if neighbours are similar.
    Returns:
        the same rows, each once; those of a batch are contiguous, in stored order.
    """
    count = len(rows)
    roll = int(rng.integers(block))  # blocks begin at another row in each epoch
    blocks = -(-(count + roll) // block)
    sizes = np.full(blocks, block)
    if blocks:
        sizes[0] -= roll
        sizes[-1] -= blocks * block - roll - count
    order = rng.permutation(blocks)
    begins = np.empty(blocks, np.int64)
    begins[order] = np.cumsum(sizes[order]) - sizes[order]
    shuffled = np.empty(count, np.int64)
    counters = np.zeros((3, 2 + -(-count // batch_size)), np.int64)
    draws = rng.random(count, dtype=np.float32)
    first = min(first, count)
    _assign(np.ascontiguousarray(rows), begins, sizes, draws, first, batch_size, counters, shuffled)
    return shuffled


_ROWS = types.Array(types.int64, 1, "C", readonly=True)


@compiled(
    types.void(
        _ROWS, types.int64[::1], types.int64[::1], types.float32[::1], types.int64, types.int64,
        types.int64[:, ::1], types.int64[::1],
    )
)  # fmt: skip
def _assign(
    rows: Any, begins: Any, sizes: Any, draws: Any, first: Any, size: Any, counters: Any, out: Any
) -> None:
    """Assign each row to a batch; see `shuffle_rows`.

    The rows of block b have the shuffled positions from `begins[b]` on, which determine their
    window. In a window, selection sampling (Knuth, The Art of Computer Programming, 3.4.2,
    algorithm S) chooses the rows of its first batch, so that every half is equally likely.
    """
    # by window: rows still to come, and free places of its first batch; by batch: its end in `out`
    left, free, ends = counters[0], counters[1], counters[2]
    count, window = rows.shape[0], 2 * size
    for number in range(1, ends.shape[0]):  # batch 0 was begun in another chunk
        ends[number] = first + (number - 1) * size
    for number in range((count - first + window - 1) // window):
        left[number] = min(window, count - first - number * window)
        free[number] = min(size, left[number])
    # Go through the rows in stored order, so that those of a batch keep it: the order in a batch
    # has no meaning, and ascending rows are gathered twice as fast, since the processor can
    # prefetch them. Only the batch of a row is drawn, which needs no sorting either.
    i = 0
    for block in range(begins.shape[0]):
        position = begins[block]
        current = (position - first) // window  # -1 is before the first window
        for _ in range(sizes[block]):
            if position - first >= (current + 1) * window:
                current += 1
            batch = 0
            if position >= first:
                batch = 1 + 2 * current
                if draws[i] * left[current] < free[current]:
                    free[current] -= 1
                else:
                    batch += 1
                left[current] -= 1
            out[ends[batch]] = rows[i]
            ends[batch] += 1
            position += 1
            i += 1
