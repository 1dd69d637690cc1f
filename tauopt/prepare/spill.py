"""Candidates on disk between the two passes of the shuffle.

Each candidate has a random 64-bit key. The first pass scatters candidates into bins by the
key's leading part; the second reads bin after bin, each sorted by key. So the stream that comes
out is all candidates sorted by random keys: a uniform permutation, whatever the number of bins,
with one bin in memory at a time.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SPLITS, SplitName
from tauopt.errors import ServiceError
from tauopt.prepare.blocks import COLUMNS, Block, concatenate

_SMALLEST_BIN = 20_000
"""Candidates; smaller bins would only be many files."""


class Spill:
    """Bins of candidates of three splits, in a folder of its own."""

    def __init__(self, folder: Path, *, entries: int, chunk_size: int) -> None:
        """Make an empty spill for at most `entries` candidates; a bin is about a chunk."""
        self.folder = folder
        self._size = max(chunk_size, _SMALLEST_BIN)
        self._bins = max(1, math.ceil(entries / self._size))
        self._waiting: list[Block] = []
        self._held = 0
        self._pattern: Block | None = None
        self.bytes = 0
        """Written so far."""
        folder.mkdir()

    def add(self, block: Block) -> None:
        """Take candidates; they reach the disk when about a bin full is held."""
        if not len(block):
            return
        self._pattern = self._pattern or block.slice(0, 0)
        self._waiting.append(block)
        self._held += len(block)
        if self._held >= self._size:
            self.flush()

    def flush(self) -> None:
        """Write all that is held."""
        if not self._waiting:
            return
        block = concatenate(self._waiting)
        self._waiting, self._held = [], 0
        bins = self._bin(block.keys) + block.splits.astype(np.int64) * self._bins
        order = np.argsort(bins, kind="stable")
        block, bins = block.take(order), bins[order]
        edges = np.flatnonzero(np.diff(bins)) + 1
        starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(bins)]
        for start, stop in zip(starts, stops, strict=True):
            split, number = divmod(int(bins[start]), self._bins)
            with self._path(SPLITS[split], number).open("ab") as stream:
                self.bytes += _write(stream, block.slice(start, stop))

    def _bin(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        high = keys >> np.uint64(32)
        return ((high * np.uint64(self._bins)) >> np.uint64(32)).astype(np.int64)

    def _path(self, split: SplitName, number: int) -> Path:
        return self.folder / f"{split}-{number:06d}"

    def read(
        self, split: SplitName, *, good: NDArray[np.bool_], delete: bool = False
    ) -> Iterator[Block]:
        """Yield the candidates of a split in the order of their keys.

        Args:
            split: which.
            good: (file) bool; candidates of other files are left out.
            delete: remove each bin once it is read.
        """
        for number in range(self._bins):
            path = self._path(split, number)
            if not path.exists():
                continue
            block = self._read_bin(path)
            if delete:
                path.unlink()
            block = block.take(good[block.files])
            if len(block):
                yield block.take(np.argsort(block.keys, kind="stable"))

    def _read_bin(self, path: Path) -> Block:
        blocks = []
        pattern = self._pattern
        if pattern is None:
            raise RuntimeError("nothing was spilled")
        with path.open("rb") as stream:
            while (block := _read(stream, pattern)) is not None:
                blocks.append(block)
        return concatenate(blocks)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)


def _write(stream: BinaryIO, block: Block) -> int:
    """Append one frame: its sizes, then every array's bytes."""
    sizes = [len(block), *(len(values) for values, _ in block.groups.values())]
    arrays = [np.array(sizes, dtype=np.int64), *block.columns().values()]
    for values, offsets in block.groups.values():
        arrays += [values, offsets]
    return sum(stream.write(np.ascontiguousarray(array).data) for array in arrays)


def _read(stream: BinaryIO, pattern: Block) -> Block | None:
    """Read one frame with the types of `pattern`; None at the end."""
    head = np.fromfile(stream, np.int64, 1 + len(pattern.groups))
    if not len(head):
        return None
    columns = {name: _array(stream, int(head[0]), getattr(pattern, name)) for name in COLUMNS}
    groups = {}
    for (name, (values, offsets)), objects in zip(pattern.groups.items(), head[1:], strict=True):
        content = _array(stream, int(objects), values)
        groups[name] = (content, _array(stream, int(head[0]) + 1, offsets))
    return Block(**columns, groups=groups)


def _array(stream: BinaryIO, rows: int, pattern: NDArray[Any]) -> NDArray[Any]:
    shape = (rows, *pattern.shape[1:])
    return np.fromfile(stream, pattern.dtype, math.prod(shape)).reshape(shape)


def check_space(folder: Path, needed: float) -> None:
    """Refuse to go on when the disk can't hold what is to come.

    Raises:
        ServiceError: fewer than `needed` bytes are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ServiceError(
            f"{folder}: {needed / 1e9:.2f} GB more are needed for the prepared dataset, "
            f"{free / 1e9:.2f} GB are free; make room, or set TAUOPT_CACHE to another disk"
        )
