"""Which chunk a candidate goes to, and whether its features are copied.

`Shuffled` copies every split: chunks are uniform samples of the whole. `Sliced` is for direct
streaming: each file is cut into pieces that go to chunks far apart, so that a chunk is a mixture
of all files, or of many where they are very many; inside it candidates stand as in the files, to
be read in one go, and are shuffled while streaming. Of the splits that stay in the files no
features are kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SPLITS, SplitName
from tauopt.prepare.candidate_blocks import Block, chunk_sizes
from tauopt.prepare.input_files import InputFile
from tauopt.prepare.spill_files import SpillFile, SpillPiece, read_pieces

COPIED: SplitName = "validation"
"""The split that direct streaming copies all the same: every report reads it."""
SMALLEST_BIN = 20_000
"""Candidates that are read at a time, if chunks are smaller."""
SMALLEST_PIECE = 5000
"""Entries of a file that are worth opening it for a chunk."""
PIECES = 8
"""Pieces of a sample's files that make a chunk a mixture: more would only read more, since a piece
of a basket costs as much as the whole."""

SpillFiles = Mapping[int, Sequence[SpillFile]]
"""Number of a file -> what the first pass took from it."""


class Arrangement(Protocol):
    """Gives the candidates of the first pass in their final order."""

    def copies(self, split: SplitName) -> bool:
        """Say whether the features of a split are copied."""

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield the candidates of a split in their final order, some at a time.

        Args:
            split: which.
            features: read what networks see too, where it is kept.
        """

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Return the sizes of a split's chunks; they add up to its candidates."""


class Shuffled:
    """All candidates in a uniform permutation, with their features.

    Each candidate has a random 64-bit key. The range of keys is cut into bins of one size; of each
    the candidates of all parts are read and sorted. So the stream that comes out is all candidates
    sorted by random keys, whatever the bins, with one in memory at a time: a chunk, if it is large.
    """

    def __init__(self, parts: SpillFiles, *, chunk_size: int) -> None:
        """Arrange the candidates of some files."""
        self._parts, self._chunk_size = parts, chunk_size
        self._bins: dict[SplitName, list[list[SpillPiece]]] = {}

    def copies(self, split: SplitName) -> bool:
        """Say that every split is copied."""
        del split
        return True

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield the candidates of a split bin by bin, in the order of their keys."""
        if split not in self._bins:
            self._bins[split] = self._cut(split)
        for pieces in self._bins[split]:
            yield _by_key(read_pieces(pieces, split, features=features))

    def _cut(self, split: SplitName) -> list[list[SpillPiece]]:
        parts = list(_with(self._parts, split))
        sizes = chunk_sizes(self._candidates(split), max(self._chunk_size, SMALLEST_BIN))
        ranks = np.cumsum(sizes, dtype=np.int64)[:-1]
        edges = keys_at(ranks, lambda: (part.keys(split) for _, part in parts))
        found: list[list[SpillPiece]] = [[] for _ in sizes]
        for file, part in parts:
            cut_by_keys(part, split, edges, file=file, into=found)
        return [pieces for pieces in found if pieces]

    def _candidates(self, split: SplitName) -> int:
        return sum(part.rows[SPLITS.index(split)] for _, part in _with(self._parts, split))

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Divide a split into equal chunks."""
        return chunk_sizes(self._candidates(split), self._chunk_size)


def _by_key(block: Block) -> Block:
    return block.take(np.argsort(block.keys, kind="stable"))


_LEADING = 18
"""Bits by which keys are counted."""


def keys_at(
    ranks: NDArray[np.int64], read: Callable[[], Iterable[NDArray[np.uint64]]]
) -> NDArray[np.uint64]:
    """Find the keys that stand at some places among all keys in order.

    Args:
        ranks: (place) counted from 0, ascending.
        read: gives all keys, some at a time, each time anew; only few of them are held.
    Returns:
        (place) keys.
    """
    if not len(ranks):
        return np.empty(0, np.uint64)
    shift, counts = np.uint64(64 - _LEADING), np.zeros(2**_LEADING, np.int64)
    for keys in read():
        counts += np.bincount((keys >> shift).astype(np.int64), minlength=len(counts))
    ends = np.cumsum(counts)
    cells = np.searchsorted(ends, ranks, side="right")
    wanted = np.zeros(len(counts), np.bool_)
    wanted[cells] = True
    near = np.sort(np.concatenate([keys[wanted[keys >> shift]] for keys in read()]))
    begins = np.searchsorted(near, cells.astype(np.uint64) << shift)
    return np.asarray(near[begins + ranks - (ends - counts)[cells]])


class Sliced:
    """Candidates by the piece of their file that they stand in, and there as in the file."""

    def __init__(
        self,
        parts: SpillFiles,
        files: Sequence[InputFile],
        *,
        seams: Sequence[NDArray[np.int64]],
        chunk_size: int,
    ) -> None:
        """Arrange the candidates of some files.

        Args:
            parts: by number of the file.
            files: all of them.
            seams: (file) entries at which it costs nothing to cut; see `Reader.seams`.
            chunk_size: entries of a chunk, about, kept or not.
        """
        entries = sum(file.entries for file in files)
        self._parts, self._chunks = parts, max(1, math.ceil(entries / chunk_size))
        self._places = places(files, seams=seams, chunks=self._chunks)

    def copies(self, split: SplitName) -> bool:
        """Say whether the features of a split are copied."""
        return split == COPIED

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield the candidates of a split chunk by chunk."""
        for pieces in self._cut(split):
            yield read_pieces(pieces, split, features=features)

    def _cut(self, split: SplitName) -> list[list[SpillPiece]]:
        found: list[list[SpillPiece]] = [[] for _ in range(self._chunks)]
        for file in sorted(self._parts, key=lambda number: self._places[number].begin):
            place = self._places[file]
            pieces = range(len(place.cuts) + 1)
            into = [found[place.chunk_of(piece, chunks=self._chunks)] for piece in pieces]
            for _, part in _with({file: self._parts[file]}, split):
                cut_by_keys(part, split, place.cuts.astype(np.uint64), file=file, into=into)
        return [pieces for pieces in found if pieces]

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Return how many candidates of a split each chunk has, leaving out empty ones."""
        return [sum(one.stop - one.start for one in pieces) for pieces in self._cut(split)]


def _with(parts: SpillFiles, split: SplitName) -> Iterator[tuple[int, SpillFile]]:
    """Yield number of the file, and part, of those that hold candidates of a split."""
    for number, of_file in parts.items():
        for part in of_file:
            if part.rows[SPLITS.index(split)]:
                yield number, part


def cut_by_keys(
    part: SpillFile,
    split: SplitName,
    edges: NDArray[np.uint64],
    *,
    file: int,
    into: Sequence[list[SpillPiece]],
) -> None:
    """Cut a split of a part at some keys, and append what is not empty to each of `into`."""
    first, keys = part.first(split), part.keys(split)
    rows = [0, *np.searchsorted(keys, edges).tolist(), len(keys)]
    for pieces, start, stop in zip(into, rows[:-1], rows[1:], strict=True):
        if stop > start:
            pieces.append(SpillPiece(part, file, first + start, first + stop))


class ShufflePlacement(NamedTuple):
    """Where the entries of a file go."""

    begin: int
    """Entries of all files before it, in the order of samples and paths."""
    cuts: NDArray[np.int64]
    """Entries at which it is cut into pieces, which are evenly spread over the chunks."""
    chunk: int
    """Of its first piece."""

    def chunk_of(self, piece: int, *, chunks: int) -> int:
        """Return the chunk that a piece goes to."""
        return (self.chunk + piece * chunks // (len(self.cuts) + 1)) % chunks


def places(
    files: Sequence[InputFile], *, seams: Sequence[NDArray[np.int64]], chunks: int
) -> list[ShufflePlacement]:
    """Return the place of each file.

    The pieces of a sample are dealt to the chunks in turn, files in the order of their paths: so
    those of one slice, whose names are alike, are spread evenly.
    """
    found: dict[int, ShufflePlacement] = {}
    begin, dealt = 0, Counter[str]()
    of_sample = Counter(file.sample for file in files)
    for number in sorted(range(len(files)), key=lambda i: (files[i].sample, files[i].path)):
        file = files[number]
        wanted = math.ceil(PIECES * chunks / of_sample[file.sample])
        pieces = max(1, min(wanted, file.entries // SMALLEST_PIECE, chunks))
        cuts = cut(file.entries, pieces, seams=seams[number])
        found[number] = ShufflePlacement(begin, cuts, dealt[file.sample] % chunks)
        begin += file.entries
        dealt[file.sample] += pieces
    return [found[number] for number in range(len(files))]


def cut(entries: int, pieces: int, *, seams: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut a file into about equal pieces, at a seam where one is near.

    Args:
        entries: of the file.
        pieces: how many.
        seams: entries at which it costs nothing to cut.
    Returns:
        (pieces - 1) entries at which pieces begin, increasing; each is a seam that is less than
        half a piece away from an equal cut, or the equal cut.
    """
    equal = np.arange(1, pieces) * entries // pieces
    if not len(seams) or not len(equal):
        return equal
    right = np.searchsorted(seams, equal).clip(1, len(seams) - 1)
    low, high = seams[right - 1], seams[right]
    nearest = np.where(equal - low <= high - equal, low, high)
    return np.where(np.abs(nearest - equal) * 2 * pieces < entries, nearest, equal)
