"""Out-of-core shuffle: which chunk a candidate goes to, and whether its features are copied.

`Shuffled` copies every split: chunks are uniform samples of the whole. `Sliced` is for direct
streaming: chunks are slices of the files, and features stay in the files.
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
"""The split that even direct streaming copies: every report reads it."""
SMALLEST_BIN = 20_000
"""Candidates read at a time, if chunks are smaller."""
SMALLEST_PIECE = 5000
"""Entries of a piece at least: fewer are not worth opening the file for a chunk."""
PIECES = 8
"""Pieces of a sample's files in one chunk: enough for a mixture. More would only read more, since a
part of a basket costs as much as the whole."""

SpillFiles = Mapping[int, Sequence[SpillFile]]
"""Number of an input file -> its candidates from the first pass."""


class Arrangement(Protocol):
    """The final order of the candidates of the first pass."""

    def copies(self, split: SplitName) -> bool:
        """Return whether the features of a split are copied."""

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield the candidates of a split in their final order, some at a time.

        Args:
            split: the split.
            features: read features and objects too, where they are stored.
        """

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Return the sizes of a split's chunks; they add up to its candidates."""


class Shuffled:
    """All candidates in a uniform permutation, with their features.

    Each candidate has a random 64-bit key. The keys are divided into bins of equally many
    candidates; one bin at a time is read from all parts and sorted in memory. So the stream is all
    candidates sorted by random keys, whatever the bins. A bin is a chunk, if chunks are large.
    """

    def __init__(self, parts: SpillFiles, *, chunk_size: int) -> None:
        """Arrange the candidates of some files."""
        self._parts, self._chunk_size = parts, chunk_size
        self._bins: dict[SplitName, list[list[SpillPiece]]] = {}

    def copies(self, split: SplitName) -> bool:
        """Return True: every split is copied."""
        del split
        return True

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield the candidates of a split bin by bin, in the order of their keys."""
        if split not in self._bins:
            self._bins[split] = self._cut(split)
        for pieces in self._bins[split]:
            block = read_pieces(pieces, split, features=features)
            yield block.take(np.argsort(block.keys, kind="stable"))

    def _cut(self, split: SplitName) -> list[list[SpillPiece]]:
        parts = list(_parts_of(self._parts, split))
        sizes = chunk_sizes(self._candidates(split), max(self._chunk_size, SMALLEST_BIN))
        ranks = np.cumsum(sizes, dtype=np.int64)[:-1]
        edges = keys_at(ranks, lambda: (part.keys(split) for _, part in parts))
        bins: list[list[SpillPiece]] = [[] for _ in sizes]
        for file, part in parts:
            cut_by_keys(part, split, edges, file=file, into=bins)
        return [pieces for pieces in bins if pieces]

    def _candidates(self, split: SplitName) -> int:
        return sum(part.rows[SPLITS.index(split)] for _, part in _parts_of(self._parts, split))

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Divide a split into equal chunks."""
        return chunk_sizes(self._candidates(split), self._chunk_size)


_LEADING_BITS = 18
"""Leading bits of the keys by which `keys_at` counts them."""


def keys_at(
    ranks: NDArray[np.int64], read: Callable[[], Iterable[NDArray[np.uint64]]]
) -> NDArray[np.uint64]:
    """Return the keys at some ranks among all keys in ascending order, without sorting all.

    Args:
        ranks: (rank) counted from 0, ascending.
        read: returns all keys, some at a time; called twice, so that only a few keys are in memory.
    Returns:
        (rank) keys.
    """
    if not len(ranks):
        return np.empty(0, np.uint64)
    shift, counts = np.uint64(64 - _LEADING_BITS), np.zeros(2**_LEADING_BITS, np.int64)
    for keys in read():
        counts += np.bincount((keys >> shift).astype(np.int64), minlength=len(counts))
    ends = np.cumsum(counts)
    bins = np.searchsorted(ends, ranks, side="right")  # the bin of leading bits that has each rank
    is_needed = np.zeros(len(counts), np.bool_)
    is_needed[bins] = True
    # The second reading keeps only the keys in these bins.
    near = np.sort(np.concatenate([keys[is_needed[keys >> shift]] for keys in read()]))
    begins = np.searchsorted(near, bins.astype(np.uint64) << shift)
    return np.asarray(near[begins + ranks - (ends - counts)[bins]])


class Sliced:
    """Slices of the files, for direct streaming.

    Each file is cut into pieces that go to chunks far apart, so that a chunk is a mixture of all
    files, or of many where there are very many. In a chunk candidates have the order of their
    files, so that they are read in one go; they are shuffled while streaming. No features are kept
    of splits that stay in the files.
    """

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
            files: all input files.
            seams: (file) entries at which it costs nothing to cut; see `Reader.seams`.
            chunk_size: entries of a chunk, approximately, selected or not.
        """
        entries = sum(file.entries for file in files)
        self._parts, self._chunks = parts, max(1, math.ceil(entries / chunk_size))
        self._placements = placements(files, seams=seams, chunks=self._chunks)

    def copies(self, split: SplitName) -> bool:
        """Return whether the features of a split are copied."""
        return split == COPIED

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield the candidates of a split chunk by chunk."""
        for pieces in self._cut(split):
            yield read_pieces(pieces, split, features=features)

    def _cut(self, split: SplitName) -> list[list[SpillPiece]]:
        chunks: list[list[SpillPiece]] = [[] for _ in range(self._chunks)]
        for file in sorted(self._parts, key=lambda number: self._placements[number].begin):
            placement = self._placements[file]
            pieces = range(len(placement.cuts) + 1)
            into = [chunks[placement.chunk_of(piece, chunks=self._chunks)] for piece in pieces]
            cuts = placement.cuts.astype(np.uint64)  # here the keys are entries
            for _, part in _parts_of({file: self._parts[file]}, split):
                cut_by_keys(part, split, cuts, file=file, into=into)
        return [pieces for pieces in chunks if pieces]

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Return the number of candidates of a split in each chunk, without empty chunks."""
        return [sum(piece.stop - piece.start for piece in pieces) for pieces in self._cut(split)]


def _parts_of(parts: SpillFiles, split: SplitName) -> Iterator[tuple[int, SpillFile]]:
    """Yield the number of the input file, and the part, of parts with candidates of a split."""
    for number, parts_of_file in parts.items():
        for part in parts_of_file:
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
    """Cut a split of a part at some keys; append each non-empty piece to its list of `into`."""
    first, keys = part.first(split), part.keys(split)
    rows = [0, *np.searchsorted(keys, edges).tolist(), len(keys)]
    for pieces, start, stop in zip(into, rows[:-1], rows[1:], strict=True):
        if stop > start:
            pieces.append(SpillPiece(part, file, first + start, first + stop))


class ShufflePlacement(NamedTuple):
    """The chunks that the entries of a file go to."""

    begin: int
    """Entries of all files before this one, in the order of samples and paths."""
    cuts: NDArray[np.int64]
    """Entries at which the file is cut into pieces, which are evenly spread over the chunks."""
    chunk: int
    """Chunk of the first piece."""

    def chunk_of(self, piece: int, *, chunks: int) -> int:
        """Return the chunk that a piece goes to."""
        return (self.chunk + piece * chunks // (len(self.cuts) + 1)) % chunks


def placements(
    files: Sequence[InputFile], *, seams: Sequence[NDArray[np.int64]], chunks: int
) -> list[ShufflePlacement]:
    """Return the placement of each file, in the order of `files`.

    The pieces of a sample are dealt to the chunks in turn, files in the order of their paths: so
    the files of one slice in jet pT, whose names are alike, are spread evenly.
    """
    result: dict[int, ShufflePlacement] = {}
    begin, dealt = 0, Counter[str]()
    files_of_sample = Counter(file.sample for file in files)
    for number in sorted(range(len(files)), key=lambda i: (files[i].sample, files[i].path)):
        file = files[number]
        enough = math.ceil(PIECES * chunks / files_of_sample[file.sample])
        pieces = max(1, min(enough, file.entries // SMALLEST_PIECE, chunks))
        cuts = cut(file.entries, pieces, seams=seams[number])
        result[number] = ShufflePlacement(begin, cuts, dealt[file.sample] % chunks)
        begin += file.entries
        dealt[file.sample] += pieces
    return [result[number] for number in range(len(files))]


def cut(entries: int, pieces: int, *, seams: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut a file into about equal pieces, at a seam where one is near.

    Args:
        entries: number of entries of the file.
        pieces: number of pieces.
        seams: entries at which it costs nothing to cut.
    Returns:
        (pieces - 1) entries at which pieces begin, increasing; each is the seam nearest to an equal
        cut, if it is less than half a piece away, or else the equal cut.
    """
    equal = np.arange(1, pieces) * entries // pieces
    if not len(seams) or not len(equal):
        return equal
    right = np.searchsorted(seams, equal).clip(1, len(seams) - 1)
    low, high = seams[right - 1], seams[right]
    nearest = np.where(equal - low <= high - equal, low, high)
    return np.where(np.abs(nearest - equal) * 2 * pieces < entries, nearest, equal)
