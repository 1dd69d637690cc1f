"""A split of a prepared dataset -> padded batches, epoch behind epoch, from any of them on.

An epoch's order depends on the seed, its number, the batch size and where its first batch begins,
not on the number of readers nor on the batch at which reading began. Memory: the chunks in use are
mapped (of a direct dataset they are held, with the next few that are read ahead), and each reader
holds one block of batches.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from tauopt.config.settings.inputs import CANDIDATE, InputSpec, mask_name
from tauopt.dataset.prepared_dataset import Chunk, SplitReader
from tauopt.errors import CorruptError
from tauopt.stream.epoch_order import BLOCK as NEIGHBOURS
from tauopt.stream.epoch_order import chunk_generator, chunk_order, shuffle_rows
from tauopt.stream.padding import pad_into, take_into

Labels = npt.NDArray[np.int16]

BLOCK = 4096
"""Candidates, about, that are assembled at once and then cut into batches: small batches would
cost more in calls than in copying, and larger blocks more in fresh memory than in calls."""
ALIGNMENT = 64
"""Bytes, a cache line: TensorFlow takes arrays that begin there as they are, and copies others."""
OPENERS = 2
"""Threads that read the chunks of a direct dataset ahead."""
AHEAD = 4
"""Blocks that a reader thread assembles in one go, so that handing over costs little."""


class Batch(NamedTuple):
    """Some candidates, ready for a network."""

    inputs: dict[str, npt.NDArray[Any]]
    """Arrays by input name; see `InputSpec`."""
    labels: Labels
    """Index of the task class, (candidate)."""
    weights: npt.NDArray[np.float32]
    """Physics weights, (candidate)."""


@dataclass(frozen=True)
class _Source:
    """A chunk's arrays, mapped as long as a batch needs them."""

    labels: Labels
    weights: npt.NDArray[np.float32]
    candidate: npt.NDArray[np.float32]
    groups: dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]


_Piece = tuple[_Source, npt.NDArray[np.int64]]
"""Rows of one chunk."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def kept(split: SplitReader, label_map: Labels) -> int:
    """Return how many candidates of a split the task keeps; reads nothing.

    Args:
        split: of a prepared dataset.
        label_map: (class) int16, dataset class -> task class or -1; see `task_labels`.
    """
    return sum(_kept(chunk, label_map) for chunk in split.chunks)


def _kept(chunk: Chunk, label_map: Labels) -> int:
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
    """Iterate over the batches of one epoch or several; each candidate comes once in each.

    A batch that begins near the end of an epoch is completed from the next one.

    Args:
        split: of a prepared dataset.
        spec: groups and lengths wanted.
        label_map: (class) int16, dataset class -> task class or -1 for those left out.
        batch_size: candidates a batch; the last one is shorter where `stop` leaves no whole one.
        next_size: of the batches behind `stop`; 0 is the same. An epoch's order is made for the
            batches that begin in it.
        seed: of the trial; not negative.
        epoch: epochs before the first; each has an order of its own.
        shuffle: False keeps the stored order.
        start: where the first batch begins, in kept candidates behind the first epoch's beginning.
        stop: where the last batch ends, counted likewise; None is the first epoch's end.
        readers: threads that assemble batches; 1 works in the caller's thread.
        joined: give successive batches in one piece of about `BLOCK` candidates.
    Raises:
        ValueError: start is negative, stop is the end neither of a batch nor of an epoch, or sizes
            are not positive.
        CorruptError: a chunk is not what the manifest says.
    """
    total = kept(split, label_map)
    stop = total if stop is None else stop
    start, stop = start + epoch * total, stop + epoch * total
    if batch_size < 1 or readers < 1:
        raise ValueError(f"expected batch_size and readers of 1 or more: {batch_size}, {readers}")
    if start < epoch * total or ((stop - start) % batch_size and (not total or stop % total)):
        raise ValueError(
            f"from {start} to {stop} are neither whole batches of {batch_size} nor whole epochs"
        )

    last_begins = stop - (stop - start - 1) % batch_size - 1

    def piece(part: _Part) -> _Piece:
        chunk = split.chunks[part.chunk]
        source = _open(chunk, spec, label_map)
        rows = np.flatnonzero(source.labels >= 0)
        if shuffle:
            begins = part.epoch * total <= last_begins
            begun, size = (start, batch_size) if begins else (stop, next_size or batch_size)
            rows = shuffle_rows(
                rows,
                batch_size=size,
                rng=chunk_generator(part.chunk, seed=seed, epoch=part.epoch),
                first=(begun - part.position) % size,
                block=1 if chunk.is_direct else NEIGHBOURS,
            )
        return source, rows[part.begin : part.end]

    counts = [_kept(chunk, label_map) for chunk in split.chunks]
    parts = _parts(counts, start=start, stop=stop, seed=seed if shuffle else None)
    threads = readers if readers > 1 else 0
    openers = _openers(split) or min(threads, 1)
    block = batch_size * max(1, BLOCK // batch_size)
    plans = _several(_cut(_in_order(parts, piece, threads=openers), block), AHEAD if threads else 1)
    for wholes in _in_order(
        plans, lambda some: [_assemble(p, spec) for p in some], threads=threads
    ):
        for whole in wholes:
            yield from (whole,) if joined else _split(whole, batch_size)


def _openers(split: SplitReader) -> int:
    """Return how many threads read chunks ahead; on one core they would only be in the way."""
    is_direct = any(chunk.is_direct for chunk in split.chunks)
    return OPENERS if is_direct and len(os.sched_getaffinity(0)) > 1 else 0


class _Part(NamedTuple):
    """What of a chunk is wanted: its candidates in an epoch's order, from `begin` to `end`."""

    epoch: int
    chunk: int
    position: int
    """Kept candidates before this chunk, since the beginning of the first epoch."""
    begin: int
    end: int


def _parts(counts: Sequence[int], *, start: int, stop: int, seed: int | None) -> Iterator[_Part]:
    """Yield the parts of chunks between two positions, in their order.

    Args:
        counts: kept candidates of each chunk.
        start, stop: positions.
        seed: of each epoch's order of chunks; None keeps the stored one.
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


def _open(chunk: Chunk, spec: InputSpec, label_map: Labels) -> _Source:
    labels = chunk.labels
    if not np.array_equal(np.bincount(labels, minlength=len(label_map)), chunk.info.counts):
        raise CorruptError(f"{chunk.folder / chunk.info.name}: labels are not those counted")
    candidate, groups = chunk.features(list(spec.lengths))
    return _Source(label_map[labels], chunk.weights, candidate, groups)


def _cut(pieces: Iterable[_Piece], block: int) -> Iterator[list[_Piece]]:
    """Cut the rows of successive chunks into blocks, which may hold rows of several."""
    plan: list[_Piece] = []
    room = block
    for source, rows in pieces:
        while len(rows):
            plan.append((source, rows[:room]))
            rows = rows[len(plan[-1][1]) :]
            room -= len(plan[-1][1])
            if not room:
                yield plan
                plan, room = [], block
    if plan:
        yield plan


def _several(items: Iterator[_Item], count: int) -> Iterator[list[_Item]]:
    """Take items together, `count` at a time."""
    while some := list(islice(items, count)):
        yield some


def _assemble(plan: list[_Piece], spec: InputSpec) -> Batch:
    count = sum(len(rows) for _, rows in plan)
    inputs: dict[str, npt.NDArray[Any]] = {
        CANDIDATE: _empty((count, len(spec.candidate.features)), np.float32)
    }
    for name, length in spec.lengths.items():
        inputs[name] = _empty((count, length, len(spec.group(name).features)), np.float32)
        inputs[mask_name(name)] = _empty((count, length), np.bool_)
    end = 0
    for source, rows in plan:
        part = slice(end, end := end + len(rows))
        take_into(source.candidate, rows, out=inputs[CANDIDATE][part])
        for name, jagged in source.groups.items():
            pad_into(jagged, rows, out=inputs[name][part], mask=inputs[mask_name(name)][part])
    return Batch(
        inputs,
        labels=np.concatenate([source.labels[rows] for source, rows in plan]),
        weights=np.concatenate([source.weights[rows] for source, rows in plan]),
    )


def _empty(shape: tuple[int, ...], dtype: type) -> npt.NDArray[Any]:
    """Return an aligned array of its own memory, C-ordered, whose content is arbitrary.

    To use memory again ourselves would be no faster: the C library does so up to blocks of about
    10 MB, and the stream of larger ones loses a quarter of a speed that no training asks for.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _split(whole: Batch, batch_size: int) -> Iterator[Batch]:
    """Cut a block into batches: views, without a copy."""
    for begin in range(0, len(whole.labels), batch_size):
        part = slice(begin, begin + batch_size)
        inputs = {name: array[part] for name, array in whole.inputs.items()}
        yield Batch(inputs, whole.labels[part], whole.weights[part])


def _in_order(
    items: Iterator[_Item], work: Callable[[_Item], _Result], *, threads: int
) -> Iterator[_Result]:
    """Do the work in threads, that many items ahead, and give results in the order of items.

    With no threads it is done in the caller's, when it is due.
    """
    if not threads:
        yield from map(work, items)
        return
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="tauopt-reader") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
