"""A split of a prepared dataset -> padded batches, from any batch of an epoch on.

What an epoch's batches hold depends on the seed, the epoch and the batch size alone, not on the
number of readers nor on where reading began. Memory: the chunks in use are mapped (of a direct
dataset they are held, with the next few that are read ahead), and each reader holds one block of
batches.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from tauopt.config.inputs import CANDIDATE, InputSpec, mask_name
from tauopt.dataset.prepared import Chunk, SplitReader
from tauopt.errors import CorruptError
from tauopt.stream.memory import Recycled
from tauopt.stream.order import BLOCK as NEIGHBOURS
from tauopt.stream.order import chunk_generator, chunk_order, shuffle_rows
from tauopt.stream.padding import pad_into, take_into

Labels = npt.NDArray[np.int16]

BLOCK = 4096
"""Candidates, about, that are assembled at once and then cut into batches: small batches would
cost more in calls than in copying, and larger blocks more in fresh memory than in calls."""
OPENERS = 2
"""Threads that read the chunks of a direct dataset ahead."""
AHEAD = 4
"""Blocks that a reader thread assembles in one go, so that handing over costs little."""
_MEMORY = Recycled()


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
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    start: int = 0,
    stop: int | None = None,
    readers: int = 1,
    joined: bool = False,
) -> Iterator[Batch]:
    """Iterate over the batches of one epoch, or of a part of it.

    Args:
        split: of a prepared dataset.
        spec: groups and lengths wanted.
        label_map: (class) int16, dataset class -> task class or -1 for those left out.
        batch_size: candidates a batch; the epoch's last one may be shorter.
        seed: of the trial; not negative.
        epoch: epochs before this one; each has an order of its own.
        shuffle: False keeps the stored order.
        start: kept candidates of this epoch that are skipped; whole batches.
        stop: where to end, counted likewise; None is the end of the epoch.
        readers: threads that assemble batches; 1 works in the caller's thread.
        joined: give successive batches in one piece of about `BLOCK` candidates.
    Raises:
        ValueError: start or stop is not at a batch boundary, or sizes are not positive.
        CorruptError: a chunk is not what the manifest says.
    """
    total = kept(split, label_map)
    stop = total if stop is None else min(stop, total)
    if batch_size < 1 or readers < 1:
        raise ValueError(f"expected batch_size and readers of 1 or more: {batch_size}, {readers}")
    if start < 0 or start % batch_size or (stop % batch_size and stop != total):
        raise ValueError(
            f"start {start} and stop {stop} are not at boundaries of batches of {batch_size}"
        )
    order = np.arange(len(split.chunks))
    if shuffle:
        order = chunk_order(len(split.chunks), seed=seed, epoch=epoch)

    def piece(part: _Part) -> _Piece:
        chunk = split.chunks[part.chunk]
        source = _open(chunk, spec, label_map)
        rows = np.flatnonzero(source.labels >= 0)
        if shuffle:
            rows = shuffle_rows(
                rows,
                batch_size=batch_size,
                rng=chunk_generator(part.chunk, seed=seed, epoch=epoch),
                first=-part.position % batch_size,
                block=1 if chunk.is_direct else NEIGHBOURS,
            )
        return source, rows[part.begin : part.end]

    counts = [_kept(split.chunks[index], label_map) for index in order.tolist()]
    parts = _parts(order.tolist(), counts, start=start, stop=stop)
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

    chunk: int
    position: int
    """Kept candidates of the epoch before this chunk."""
    begin: int
    end: int


def _parts(
    order: Iterable[int], counts: Iterable[int], *, start: int, stop: int
) -> Iterator[_Part]:
    position = 0
    for chunk, count in zip(order, counts, strict=True):
        begin, end = max(start - position, 0), min(stop - position, count)
        if begin < end:
            yield _Part(chunk, position, begin, end)
        position += count


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
        CANDIDATE: _MEMORY.empty((count, len(spec.candidate.features)), np.float32)
    }
    for name, length in spec.lengths.items():
        inputs[name] = _MEMORY.empty((count, length, len(spec.group(name).features)), np.float32)
        inputs[mask_name(name)] = _MEMORY.empty((count, length), np.bool_)
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
