"""Spill files: candidates on disk between the two passes, read piece by piece.

A spill file, or part, holds the columns of some candidates one after another, sorted by split and
key. So the candidates of a split with keys in some range are one piece of each column, which is
read without the rest; all candidates of a range are one piece of every part.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SPLITS, SplitName
from tauopt.errors import DataError
from tauopt.physics.jagged import Jagged
from tauopt.prepare.candidate_blocks import Block, concatenate

SMALLEST = 20_000
"""Candidates of a part at least, except the last of a file: smaller parts would be too many."""

_COLUMNS: Mapping[str, type[np.generic]] = {
    "keys": np.uint64,
    "entries": np.int64,
    "labels": np.int16,
    "weights": np.float64,
    "event_numbers": np.int64,
    "spectrum": np.float64,
    "spectators": np.float32,
    "candidate": np.float32,
}
_WIDE = ("spectrum", "spectators", "candidate")
"""Columns with several numbers a candidate."""


class _Stored(NamedTuple):
    """Position, type and shape of an array in its file."""

    position: int
    dtype: np.dtype[Any]
    row: tuple[int, ...]
    """Shape of one row."""
    rows: int

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.row)

    def empty(self, rows: int) -> NDArray[Any]:
        """Return an uninitialised array of some rows."""
        return np.empty((rows, *self.row), self.dtype)


@dataclass(frozen=True)
class SpillFile:
    """Candidates of one input file, sorted by split and key."""

    path: Path
    rows: tuple[int, ...]
    """(split) candidates."""
    widths: Mapping[str, int]
    """Column -> numbers a candidate, for columns with several."""
    groups: Mapping[str, tuple[int, int]]
    """Group -> objects, features."""

    @cached_property
    def stored(self) -> dict[str, _Stored]:
        """Position of each array: columns by name, `<group>.offsets`, `<group>.values`."""
        rows, position = sum(self.rows), 0
        shapes: list[tuple[str, type[np.generic], tuple[int, ...], int]] = []
        for name, kind in _COLUMNS.items():
            shapes.append((name, kind, (self.widths[name],) if name in _WIDE else (), rows))
        for name, (objects, width) in self.groups.items():
            shapes.append((f"{name}.offsets", np.int64, (), rows + 1))
            shapes.append((f"{name}.values", np.float32, (width,), objects))
        arrays: dict[str, _Stored] = {}
        for name, kind, row, count in shapes:
            arrays[name] = _Stored(position, np.dtype(kind), row, count)
            position += count * arrays[name].row_bytes
        return arrays

    @property
    def bytes(self) -> int:
        """Size of the file."""
        last = list(self.stored.values())[-1]
        return last.position + last.rows * last.row_bytes

    def first(self, split: SplitName) -> int:
        """Return the row at which a split begins."""
        return sum(self.rows[: SPLITS.index(split)])

    def keys(self, split: SplitName) -> NDArray[np.uint64]:
        """Read the keys of a split, ascending."""
        keys = np.empty(self.rows[SPLITS.index(split)], np.uint64)
        with _Reader(self.path) as reader:
            reader.fill(keys, self.stored["keys"], self.first(split))
        return keys


def sorted_block(block: Block) -> Block:
    """Return the candidates in the order of a part: by split and key."""
    return block.take(np.lexsort((block.keys, block.splits)))


class SpillWriter:
    """Write candidates of one file into parts; parts reach the disk while others are made."""

    def __init__(self, folder: Path, name: str, *, temporary: bool = False) -> None:
        """Write into a folder, into files whose names begin with `name`.

        Files that are `temporary` are not synchronised: they need not outlive a power cut.
        """
        self._folder, self._name, self._temporary = folder, name, temporary
        self._disk, self._syncs = ThreadPoolExecutor(1), list[Future[None]]()
        self._waiting: list[Block] = []
        self.parts: list[SpillFile] = []
        self.bytes = 0
        """Bytes written so far."""

    def add(self, block: Block) -> None:
        """Add candidates in the order of a part; they are written when there are enough."""
        if len(block):
            self._waiting.append(block)
        if sum(map(len, self._waiting)) >= SMALLEST:
            self.flush()

    def flush(self) -> None:
        """Write all candidates that wait in memory."""
        if not self._waiting:
            return
        joined = len(self._waiting) > 1
        block = sorted_block(concatenate(self._waiting)) if joined else self._waiting[0]
        self._waiting = []
        path = self._folder / f"{self._name}-{len(self.parts):05d}.bin"
        part = SpillFile(
            path=path,
            rows=tuple(np.bincount(block.splits, minlength=len(SPLITS)).tolist()),
            widths={name: getattr(block, name).shape[1] for name in _WIDE},
            groups={name: values.shape for name, (values, _) in block.groups.items()},
        )
        arrays: dict[str, NDArray[Any]] = {name: getattr(block, name) for name in _COLUMNS}
        for name, (values, offsets) in block.groups.items():
            arrays |= {f"{name}.offsets": offsets, f"{name}.values": values}
        with path.open("wb") as stream:
            for name, stored in part.stored.items():
                stream.write(np.ascontiguousarray(arrays[name], stored.dtype).data)
        if not self._temporary:
            self._syncs.append(self._disk.submit(_sync, path))
        self.parts.append(part)
        self.bytes += part.bytes

    def close(self) -> None:
        """Write all candidates, and wait until they are on the disk."""
        self.flush()
        for sync in self._syncs:
            sync.result()
        self._disk.shutdown()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SpillPiece(NamedTuple):
    """Some candidates of one split in one part."""

    part: SpillFile
    file: int
    """Number of the input file."""
    start: int
    """First row of the part."""
    stop: int
    """The row after the last."""


def read_pieces(pieces: Sequence[SpillPiece], split: SplitName, *, features: bool = True) -> Block:
    """Read the candidates of some pieces, in the order of the pieces.

    Args:
        pieces: at least one; all with features, or all without.
        split: the split of all pieces.
        features: read features and objects too, where they are stored.
    Raises:
        DataError: a part was removed or cut.
    """
    counts = np.array([piece.stop - piece.start for piece in pieces])
    edges, total = np.concatenate([[0], np.cumsum(counts)]), int(counts.sum())
    first_part = pieces[0].part  # all parts have the same columns and groups
    names = [name for name in _COLUMNS if features or name != "candidate"]
    columns: dict[str, NDArray[Any]] = {n: first_part.stored[n].empty(total) for n in names}
    offsets: dict[str, list[NDArray[np.int64]]] = {n: [] for n in first_part.groups if features}
    for piece, first in zip(pieces, edges.tolist(), strict=False):
        count, stored = piece.stop - piece.start, piece.part.stored
        with _Reader(piece.part.path) as reader:
            for name, values in columns.items():
                reader.fill(values[first : first + count], stored[name], piece.start)
            for name, piece_offsets in offsets.items():
                piece_offsets.append(np.empty(count + 1, np.int64))
                reader.fill(piece_offsets[-1], stored[f"{name}.offsets"], piece.start)
    columns.setdefault("candidate", np.empty((total, 0), np.float32))
    return Block(
        **columns,
        files=np.repeat(np.array([piece.file for piece in pieces], np.int32), counts),
        splits=np.full(total, SPLITS.index(split), np.int8),
        groups=_read_groups(pieces, offsets),
    )


def _read_groups(
    pieces: Sequence[SpillPiece], offsets: Mapping[str, Sequence[NDArray[np.int64]]]
) -> dict[str, Jagged]:
    """Read the objects of each piece: those between its first and its last offset.

    Args:
        pieces: pieces of parts.
        offsets: group -> (piece) offsets (candidate + 1) as they are in the part.
    """
    groups: dict[str, Jagged] = {}
    for name, piece_offsets in offsets.items():
        joined = np.zeros(1 + sum(len(part) - 1 for part in piece_offsets), np.int64)
        np.cumsum(np.concatenate([np.diff(part) for part in piece_offsets]), out=joined[1:])
        stored = pieces[0].part.stored[f"{name}.values"]
        groups[name] = Jagged(stored.empty(int(joined[-1])), joined)
    filled = dict.fromkeys(groups, 0)
    for number, piece in enumerate(pieces):
        with _Reader(piece.part.path) as reader:
            for name, piece_offsets in offsets.items():
                low, high = int(piece_offsets[number][0]), int(piece_offsets[number][-1])
                rows = groups[name].content[filled[name] : filled[name] + high - low]
                reader.fill(rows, piece.part.stored[f"{name}.values"], low)
                filled[name] += high - low
    return groups


class _Reader:
    """Reads rows of arrays from one file; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Reader:
        try:
            self._handle = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            raise DataError(
                f"{self._path}: was removed meanwhile; prepare again to read the input file anew"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def fill(self, rows: NDArray[Any], stored: _Stored, start: int) -> None:
        """Read contiguous `rows` of an array from row `start` on."""
        view = rows.data.cast("B") if rows.nbytes else memoryview(b"")
        position = stored.position + start * stored.row_bytes
        while len(view):
            count = os.preadv(self._handle, [view], position)  # may read less than `view` holds
            if not count:
                raise DataError(
                    f"{self._path}: ends too early; remove its folder and prepare again"
                )
            view, position = view[count:], position + count
