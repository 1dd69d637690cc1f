"""The order of candidates in an epoch: shuffled, yet near its neighbours on disk.

Chunks are uniform samples of the whole already (but for direct ones, whose candidates stand as in
the files, sample by sample). Within a chunk, blocks of 32 neighbours are shuffled over the chunk,
and candidates inside windows of two batches: 1.6 times the speed of shuffling single candidates,
since memory is read in pieces that are longer than a cache line. The order inside a batch has no
meaning, so it is that on disk: rows are gathered twice as fast if the processor sees ahead what
comes. That also saves sorting: all that is drawn is which batch a candidate goes to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from tauopt.stream.compiled_loops import compiled

BLOCK = 32
"""Neighbours that are moved together."""

WINDOW = 2
"""Batches over which single candidates are shuffled."""

Integers = npt.NDArray[np.int64]


def chunk_order(chunks: int, *, seed: int, epoch: int) -> Integers:
    """Return the order of an epoch's chunks, (chunk) int64."""
    order = np.arange(chunks)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


def chunk_generator(chunk: int, *, seed: int, epoch: int) -> np.random.Generator:
    """Return a chunk's own random numbers, so that its order needs no other chunk's."""
    return np.random.default_rng([seed, epoch, 1 + chunk])


def shuffle_rows(
    rows: Integers,
    *,
    batch_size: int,
    rng: np.random.Generator,
    first: int = 0,
    block: int = BLOCK,
) -> Integers:
    """Deal a chunk's rows to batches: by blocks, then one by one within windows of two batches.

    Blocks begin at another row each time, so that neighbours are not bound together for good.

    Args:
        rows: (row) int64 in stored order.
        batch_size: candidates a batch.
        rng: the chunk's own random numbers.
        first: rows that complete a batch begun in another chunk, less than `batch_size`.
        block: neighbours that are moved together; 1 where neighbours are alike.
    Returns:
        The same rows, each once; those of a batch stand together, in stored order.
    """
    count = len(rows)
    roll = int(rng.integers(block))
    blocks = -(-(count + roll) // block)
    sizes = np.full(blocks, block)
    if blocks:
        sizes[0] -= roll
        sizes[-1] -= blocks * block - roll - count
    order = rng.permutation(blocks)
    begins = np.empty(blocks, np.int64)
    begins[order] = np.cumsum(sizes[order]) - sizes[order]
    dealt = np.empty(count, np.int64)
    counters = np.zeros((3, 2 + -(-count // batch_size)), np.int64)
    draws = rng.random(count, dtype=np.float32)
    first = min(first, count)
    _deal(np.ascontiguousarray(rows), begins, sizes, draws, first, batch_size, counters, dealt)
    return dealt


_ROWS = types.Array(types.int64, 1, "C", readonly=True)


@compiled(
    types.void(
        _ROWS, types.int64[::1], types.int64[::1], types.float32[::1], types.int64, types.int64,
        types.int64[:, ::1], types.int64[::1],
    )
)  # fmt: skip
def _deal(
    rows: Any, begins: Any, sizes: Any, draws: Any, first: Any, size: Any, counters: Any, dealt: Any
) -> None:
    """Put each row into a batch; see `shuffle_rows`.

    Rows are gone through in stored order; a block's rows go to places one after the other, from
    `begins` on. Of a window, those still to come and those that its first batch still wants give
    the chance to be in that batch (selection sampling: Knuth, The Art of Computer Programming,
    3.4.2, algorithm S), so that every half of the window is equally likely.
    """
    left, wanted, ends = counters[0], counters[1], counters[2]
    count, window = rows.shape[0], 2 * size
    for number in range(1, ends.shape[0]):  # batch 0 is the one that was begun elsewhere
        ends[number] = first + (number - 1) * size
    for number in range((count - first + window - 1) // window):
        left[number] = min(window, count - first - number * window)
        wanted[number] = min(size, left[number])
    i = 0
    for block in range(begins.shape[0]):
        place = begins[block]
        chosen = (place - first) // window  # -1 is before the first window
        for _ in range(sizes[block]):
            if place - first >= (chosen + 1) * window:
                chosen += 1
            batch = 0
            if place >= first:
                batch = 1 + 2 * chosen
                if draws[i] * left[chosen] < wanted[chosen]:
                    wanted[chosen] -= 1
                else:
                    batch += 1
                left[chosen] -= 1
            dealt[ends[batch]] = rows[i]
            ends[batch] += 1
            place += 1
            i += 1
