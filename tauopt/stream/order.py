"""The order of candidates in an epoch: shuffled, yet near its neighbours on disk.

Chunks are uniform samples of the whole already (but for direct ones, whose candidates stand as in
the files, sample by sample). Within a chunk, blocks of 32 neighbours are
shuffled over the chunk, then candidates inside windows of two batches: 1.6 times the speed of
shuffling single candidates, since memory is read in pieces that are longer than a cache line.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
    rows: Integers, *, batch_size: int, rng: np.random.Generator, block: int = BLOCK
) -> Integers:
    """Shuffle a chunk's rows by blocks, then within windows of two batches.

    Blocks begin at another row each time, so that neighbours are not bound together for good.

    Args:
        rows: (row) int64 in stored order.
        batch_size: candidates a batch.
        rng: the chunk's own random numbers.
        block: neighbours that are moved together; 1 where neighbours are alike.
    Returns:
        The same rows, each once.
    """
    if block == 1:
        return rng.permutation(rows)
    count = len(rows)
    blocks = rng.permutation(-(-count // block))
    places = (blocks[:, None] * block + np.arange(block)).ravel()
    places = places[places < count]
    shuffled: Integers = np.roll(rows, -int(rng.integers(block)))[places]
    window = WINDOW * batch_size
    whole = count - count % window
    windows = shuffled[:whole].reshape(-1, window)
    rng.permuted(windows, axis=1, out=windows)
    rng.shuffle(shuffled[whole:])
    return shuffled


def sort_in_batches(rows: Integers, *, batch_size: int, first: int) -> Integers:
    """Sort a chunk's rows within each batch, where the order has no meaning.

    Sorted rows are gathered twice as fast, since the processor sees ahead what comes.

    Args:
        rows: (row) int64, shuffled.
        batch_size: candidates a batch.
        first: leading rows that complete a batch begun in another chunk.
    """
    whole = max(0, len(rows) - first) // batch_size * batch_size
    head, middle, tail = np.split(rows, [min(first, len(rows)), min(first, len(rows)) + whole])
    middle = np.sort(middle.reshape(-1, batch_size), axis=1).ravel()
    return np.concatenate([np.sort(head), middle, np.sort(tail)])
