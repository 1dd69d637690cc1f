"""Read a split of a prepared dataset as padded batches, over several epochs, from any batch on.

The order of an epoch depends on the seed, its number, the batch size and where its first batch
begins, but neither on the number of readers nor on the batch at which reading starts. Memory: the
chunks in use are mapped (those of a direct dataset are in memory, with a few that are read ahead),
and each reader holds one block of batches.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from tauopt.config.settings.inputs import CANDIDATE, InputSpec, mask_name
from tauopt.dataset.prepared_dataset import Chunk, SplitReader
from tauopt.errors import CorruptError
from tauopt.physics.jagged import Jagged
from tauopt.stream.epoch_order import BLOCK as NEIGHBOURS
from tauopt.stream.epoch_order import chunk_generator, chunk_order, shuffle_rows
from tauopt.stream.padding import pad_into, take_into

Labels = npt.NDArray[np.int16]

BLOCK = 4096
"""Candidates, about, that are assembled together and then cut into batches: smaller blocks cost
more in calls than in copying, larger ones more in fresh memory than in calls."""
ALIGNMENT = 64
"""Bytes, a cache line: TensorFlow uses aligned arrays without a copy."""
OPENERS = 2
"""Threads that read ahead the chunks of a direct dataset."""
AHEAD = 4
"""Blocks that a reader thread assembles in one task, so that handing over results costs little."""


class Batch(NamedTuple):
    """Candidates as inputs of a network."""

    inputs: dict[str, npt.NDArray[Any]]
    """Arrays by input name; see `InputSpec`."""
    labels: Labels
    """Index of the task class, (candidate)."""
    weights: npt.NDArray[np.float32]
    """Physics weights, (candidate)."""


@dataclass(frozen=True)
class _ChunkArrays:
    """The arrays of a chunk, mapped as long as a batch needs them."""

    labels: Labels
    weights: npt.NDArray[np.float32]
    candidate: npt.NDArray[np.float32]
    groups: Mapping[str, Jagged]


_Piece = tuple[_ChunkArrays, npt.NDArray[np.int64]]
"""Rows of one chunk."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def kept(split: SplitReader, label_map: Labels) -> int:
    """Return the number of candidates of a split that the task keeps, from the manifest alone.

    Args:
        split: of a prepared dataset.
        label_map: (class) int16, dataset class -> task class or -1; see `task_labels`.
    """
    return sum(_kept_in(chunk, label_map) for chunk in split.chunks)


def _kept_in(chunk: Chunk, label_map: Labels) -> int:
    return sum(n for n, label in zip(chunk.info.counts, label_map, strict=True) if label >= 0)


def batches(
    split: SplitReader,
    *,
    spec: InputSpec,
    label_map: Labels,
    batch_size: int,
    next_size: int = 0,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    start: int = 0,
    stop: int | None = None,
    readers: int = 1,
    joined: bool = False,
) -> Iterator[Batch]:
    """Iterate over the batches of one or several epochs; an epoch has each candidate once.

    A batch that begins near the end of an epoch is completed from the next one.

    Args:
        split: of a prepared dataset.
        spec: features, groups and lengths of the inputs.
        label_map: (class) int16, dataset class -> task class, or -1 to leave it out.
        batch_size: candidates a batch; the last batch is shorter if `stop` is within it.
        next_size: batch size behind `stop`; 0 means `batch_size`. The order of an epoch depends on
            the size of the batches that begin in it.
        seed: of the trial; not negative.
        epoch: number of the first epoch, from 0; each epoch has another order.
        shuffle: False keeps the stored order.
        start: where the first batch begins, in kept candidates from the beginning of the first
            epoch.
        stop: where the last batch ends, counted likewise; None is the end of the first epoch.
        readers: threads that assemble batches; 1 works in the caller's thread.
        joined: yield blocks of successive batches, of about `BLOCK` candidates.
    Raises:
        ValueError: start is negative, stop is the end neither of a batch nor of an epoch, or sizes
            are not positive.
        CorruptError: a chunk contradicts the manifest.
    """
    total = kept(split, label_map)
    stop = total if stop is None else stop
    start, stop = start + epoch * total, stop + epoch * total
    if batch_size < 1 or readers < 1:
        raise ValueError(
            f"expected batch_size and readers of 1 or more, got {batch_size} and {readers}"
        )
    if start < epoch * total or ((stop - start) % batch_size and (not total or stop % total)):
        raise ValueError(
            f"candidates {start} to {stop} are neither whole batches of {batch_size} nor whole "
            "epochs"
        )

    last_batch_begin = stop - (stop - start - 1) % batch_size - 1

    def piece(part: _Part) -> _Piece:
        chunk = split.chunks[part.chunk]
        arrays = _open(chunk, spec, label_map)
        rows = np.flatnonzero(arrays.labels >= 0)
        if shuffle:
            # the batches that begin in the last epoch have the next size if it begins in the last
            # batch of this call
            begins_here = part.epoch * total <= last_batch_begin
            origin, size = (start, batch_size) if begins_here else (stop, next_size or batch_size)
            rows = shuffle_rows(
                rows,
                batch_size=size,
                rng=chunk_generator(part.chunk, seed=seed, epoch=part.epoch),
                first=(origin - part.position) % size,
                # neighbours of a direct chunk are similar, being of one sample
                block=1 if chunk.is_direct else NEIGHBOURS,
            )
        return arrays, rows[part.begin : part.end]

    counts = [_kept_in(chunk, label_map) for chunk in split.chunks]
    parts = _parts(counts, start=start, stop=stop, seed=seed if shuffle else None)
    threads = readers if readers > 1 else 0
    is_direct = any(chunk.is_direct for chunk in split.chunks)
    # on one core, threads that read direct chunks ahead would slow down the others
    reads_ahead = is_direct and len(os.sched_getaffinity(0)) > 1
    openers = OPENERS if reads_ahead else min(threads, 1)
    size = batch_size * max(1, BLOCK // batch_size)
    plans = _grouped(_cut(_in_order(parts, piece, threads=openers), size), AHEAD if threads else 1)
    for blocks in _in_order(
        plans, lambda group: [_assemble(plan, spec) for plan in group], threads=threads
    ):
        for block in blocks:
            yield from (block,) if joined else _split(block, batch_size)


class _Part(NamedTuple):
    """A part of a chunk: its candidates [begin, end) in an epoch's order."""

    epoch: int
    chunk: int
    position: int
    """Kept candidates before this chunk, since the beginning of the first epoch."""
    begin: int
    end: int


def _parts(counts: Sequence[int], *, start: int, stop: int, seed: int | None) -> Iterator[_Part]:
    """Yield the parts of chunks between two positions, in the order of the epochs.

    Args:
        counts: kept candidates of each chunk.
        start, stop: positions in kept candidates, from the beginning of epoch 0.
        seed: of the order of chunks in each epoch; None keeps the stored order.
    """
    total = sum(counts)
    for epoch in range(start // total, -(-stop // total)) if total else ():
        order = np.arange(len(counts))
        if seed is not None:
            order = chunk_order(len(counts), seed=seed, epoch=epoch)
        position = epoch * total
        for chunk in order.tolist():
            begin, end = max(start - position, 0), min(stop - position, counts[chunk])
            if begin < end:
                yield _Part(epoch, chunk, position, begin, end)
            position += counts[chunk]


def _open(chunk: Chunk, spec: InputSpec, label_map: Labels) -> _ChunkArrays:
    labels = chunk.labels
    if not np.array_equal(np.bincount(labels, minlength=len(label_map)), chunk.info.counts):
        raise CorruptError(
            f"{chunk.folder / chunk.info.name}: labels are not those counted in the manifest; "
            "prepare the dataset again"
        )
    candidate, groups = chunk.features(list(spec.lengths))
    return _ChunkArrays(label_map[labels], chunk.weights, candidate, groups)


def _cut(pieces: Iterable[_Piece], size: int) -> Iterator[list[_Piece]]:
    """Cut the rows of successive chunks into plans of `size` rows, which may span chunks."""
    plan: list[_Piece] = []
    free = size
    for arrays, rows in pieces:
        while len(rows):
            plan.append((arrays, rows[:free]))
            rows = rows[len(plan[-1][1]) :]
            free -= len(plan[-1][1])
            if not free:
                yield plan
                plan, free = [], size
    if plan:
        yield plan


def _grouped(items: Iterator[_Item], count: int) -> Iterator[list[_Item]]:
    """Group successive items, `count` in each."""
    while group := list(islice(items, count)):
        yield group


def _assemble(plan: list[_Piece], spec: InputSpec) -> Batch:
    """Gather and pad the rows of a plan into one block."""
    count = sum(len(rows) for _, rows in plan)
    inputs: dict[str, npt.NDArray[Any]] = {
        CANDIDATE: _empty((count, len(spec.candidate.features)), np.float32)
    }
    for name, length in spec.lengths.items():
        inputs[name] = _empty((count, length, len(spec.group(name).features)), np.float32)
        inputs[mask_name(name)] = _empty((count, length), np.bool_)
    end = 0
    for arrays, rows in plan:
        part = slice(end, end := end + len(rows))
        take_into(arrays.candidate, rows, out=inputs[CANDIDATE][part])
        for name, jagged in arrays.groups.items():
            pad_into(jagged, rows, out=inputs[name][part], mask=inputs[mask_name(name)][part])
    return Batch(
        inputs,
        labels=np.concatenate([arrays.labels[rows] for arrays, rows in plan]),
        weights=np.concatenate([arrays.weights[rows] for arrays, rows in plan]),
    )


def _empty(shape: tuple[int, ...], dtype: type) -> npt.NDArray[Any]:
    """Return an uninitialised, aligned, C-ordered array."""
    # A pool of our own memory would not be faster: the C library reuses blocks up to about 10 MB,
    # and larger ones lose a quarter of a speed that no training needs.
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _split(block: Batch, batch_size: int) -> Iterator[Batch]:
    """Cut a block into batches, which are views."""
    for begin in range(0, len(block.labels), batch_size):
        part = slice(begin, begin + batch_size)
        inputs = {name: array[part] for name, array in block.inputs.items()}
        yield Batch(inputs, block.labels[part], block.weights[part])


def _in_order(
    items: Iterator[_Item], work: Callable[[_Item], _Result], *, threads: int
) -> Iterator[_Result]:
    """Map a function over items in threads, `threads` items ahead; keep the order of results.

    With 0 threads it is called in the caller's thread, when the result is needed.
    """
    if not threads:
        yield from map(work, items)
        return
    pending: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="tauopt-reader") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # also if the caller stops iterating
            for future in pending:
                future.cancel()
