"""Candidates in memory, on their way from ntuple to chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.physics import jagged
from tauopt.physics.jagged import Jagged


@dataclass(frozen=True)
class Block:
    """Some candidates; every array has one row a candidate, except the values of groups."""

    keys: NDArray[np.uint64]
    """Random numbers; candidates sorted by them are shuffled."""
    files: NDArray[np.int32]
    """Number of the file that the candidate comes from."""
    entries: NDArray[np.int64]
    """Entry of the candidate in its file, counted from 0."""
    splits: NDArray[np.int8]
    """Index into `SPLITS`."""
    labels: NDArray[np.int16]
    weights: NDArray[np.float64]
    event_numbers: NDArray[np.int64]
    spectrum: NDArray[np.float64]
    """(candidate, variable) variables that are reweighted."""
    candidate: NDArray[np.float32]
    """(candidate, feature)."""
    spectators: NDArray[np.float32]
    """(candidate, spectator)."""
    groups: Mapping[str, Jagged]
    """Name of a group -> features of its objects, content (object, feature)."""

    def __len__(self) -> int:
        return len(self.keys)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays with one row a candidate, by name."""
        return {name: getattr(self, name) for name in COLUMNS}

    def take(self, rows: NDArray[Any]) -> Block:
        """Return the candidates `rows` (integers or a mask), in that order."""
        if rows.dtype == np.bool_:
            if rows.all():
                return self
            rows = np.flatnonzero(rows)
        groups = {name: objects.take(rows) for name, objects in self.groups.items()}
        columns = {name: array[rows] for name, array in self.columns().items()}
        return Block(**columns, groups=groups)

    def slice(self, start: int, stop: int) -> Block:
        """Return the candidates from `start` to `stop` without copying."""
        groups = {name: objects.slice(start, stop) for name, objects in self.groups.items()}
        columns = {name: array[start:stop] for name, array in self.columns().items()}
        return Block(**columns, groups=groups)

    def without_features(self) -> Block:
        """Return the same candidates without their features and objects."""
        return replace(self, candidate=self.candidate[:, :0], groups={})

    def with_weights(self, weights: NDArray[np.float64]) -> Block:
        """Return the same candidates with other weights."""
        return replace(self, weights=weights)


COLUMNS = tuple(field.name for field in fields(Block) if field.name != "groups")


def concatenate(blocks: Sequence[Block]) -> Block:
    """Join one or more blocks."""
    if len(blocks) == 1:
        return blocks[0]
    columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in COLUMNS}
    groups = {
        name: jagged.concatenate([block.groups[name] for block in blocks])
        for name in blocks[0].groups
    }
    return Block(**columns, groups=groups)


def rechunk(blocks: Iterable[Block], sizes: Sequence[int]) -> Iterator[Block]:
    """Cut a stream of blocks into blocks of the given sizes, keeping the order."""
    waiting: list[Block] = []
    held = 0
    stream = iter(blocks)
    for size in sizes:
        while held < size:
            block = next(stream)
            waiting.append(block)
            held += len(block)
        joined = concatenate(waiting)
        yield joined.slice(0, size)
        waiting = [joined.slice(size, held)] if held > size else []
        held -= size


def chunk_sizes(candidates: int, chunk_size: int) -> list[int]:
    """Divide candidates into the fewest chunks of at most `chunk_size`, all about equal."""
    chunks = -(-candidates // chunk_size)  # rounded up
    edges = [candidates * i // chunks for i in range(chunks + 1)] if chunks else [0]
    return [edges[i + 1] - edges[i] for i in range(chunks)]
