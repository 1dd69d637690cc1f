"""Which chunk a candidate goes to, and what of it is kept on disk between the two passes.

`Shuffled` copies every split: chunks are uniform samples of the whole. `Sliced` is for direct
streaming: each file is cut into parts that go to chunks far apart, so that a chunk is a mixture of
all files, or of many where they are very many; inside it candidates stand as in the files, to be
read in one go, and are shuffled while streaming. Of the splits that stay in the files it keeps no
features.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SPLITS, SplitName
from tauopt.prepare.blocks import Block, chunk_sizes
from tauopt.prepare.sources import InputFile
from tauopt.prepare.spill import Spill

COPIED: SplitName = "validation"
"""The split that direct streaming copies all the same: every report reads it."""
SMALLEST_PART = 5000
"""Entries of a file that are worth opening it for a chunk."""
PARTS = 8
"""Pieces of a sample's files that make a chunk a mixture: more would only read more, since a piece
of a basket costs as much as the whole."""


class Arrangement(Protocol):
    """Takes the candidates of the first pass, and gives them in their final order."""

    spill: Spill
    """Of the candidates whose features are kept."""

    def copies(self, split: SplitName) -> bool:
        """Say whether the features of a split are copied."""

    def keys(
        self, file: int, *, first: int, entries: int, rng: np.random.Generator
    ) -> NDArray[np.uint64]:
        """Return numbers by which candidates are sorted, for some entries of a file."""

    def add(self, block: Block) -> None:
        """Take candidates."""

    def flush(self) -> None:
        """Write all that is held."""

    def read(
        self, split: SplitName, *, good: NDArray[np.bool_], delete: bool = False
    ) -> Iterator[Block]:
        """Yield the candidates of a split in their final order; see `Spill.read`."""

    def sizes(self, split: SplitName, *, candidates: int) -> Sequence[int]:
        """Return the sizes of a split's chunks; they add up to `candidates`."""

    def remove(self) -> None:
        """Remove everything from the disk."""


class Shuffled:
    """All candidates in a uniform permutation, with their features."""

    def __init__(self, folder: Path, *, entries: int, chunk_size: int) -> None:
        """Begin in a new folder, for at most `entries` candidates."""
        self._chunk_size = chunk_size
        self.spill = Spill(folder, entries=entries, chunk_size=chunk_size)
        self.add, self.flush = self.spill.add, self.spill.flush
        self.read, self.remove = self.spill.read, self.spill.remove

    def copies(self, split: SplitName) -> bool:
        """Say that every split is copied."""
        del split
        return True

    def keys(
        self, file: int, *, first: int, entries: int, rng: np.random.Generator
    ) -> NDArray[np.uint64]:
        """Return random numbers: one draw an entry, the same whatever the step."""
        del file, first
        return rng.integers(0, 2**64, size=entries, dtype=np.uint64)

    def sizes(self, split: SplitName, *, candidates: int) -> Sequence[int]:
        """Divide a split into equal chunks."""
        del split
        return chunk_sizes(candidates, self._chunk_size)


class Sliced:
    """Candidates by the part of their file that they stand in, and there as in the file."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[InputFile],
        *,
        seams: Sequence[NDArray[np.int64]],
        chunk_size: int,
    ) -> None:
        """Begin in a new folder; a chunk is of about `chunk_size` entries, kept or not.

        Args:
            folder: to make.
            files: all of them.
            seams: (file) entries at which it costs nothing to cut; see `Reader.seams`.
            chunk_size: entries.
        """
        entries = sum(file.entries for file in files)
        self._chunks = max(1, math.ceil(entries / chunk_size))
        self._width = (2**64 - 1) // self._chunks
        self._places = places(files, seams=seams, chunks=self._chunks)
        self._counts = {split: np.zeros(self._chunks, np.int64) for split in SPLITS}
        folder.mkdir()
        self.spill = Spill(folder / "copied", entries=entries, chunk_size=chunk_size)
        self._light = Spill(folder / "direct", entries=entries, chunk_size=chunk_size)
        self._folder = folder

    def copies(self, split: SplitName) -> bool:
        """Say whether the features of a split are copied."""
        return split == COPIED

    def keys(
        self, file: int, *, first: int, entries: int, rng: np.random.Generator
    ) -> NDArray[np.uint64]:
        """Return numbers that grow with the chunk, and in it with the place in the files."""
        del rng
        place, entry = self._places[file], first + np.arange(entries)
        part = np.searchsorted(place.cuts, entry, side="right")
        parts = len(place.cuts) + 1
        chunk = (place.chunk + part * self._chunks // parts) % self._chunks
        ordered = (place.begin + entry).astype(np.uint64)
        return np.asarray(chunk.astype(np.uint64) * np.uint64(self._width) + ordered)

    def add(self, block: Block) -> None:
        """Take candidates; the features of what stays in the files are dropped."""
        chunk = (block.keys // np.uint64(self._width)).astype(np.int64)
        for index, split in enumerate(SPLITS):
            inside = block.splits == index
            self._counts[split] += np.bincount(chunk[inside], minlength=self._chunks)
        copied = block.splits == SPLITS.index(COPIED)
        self.spill.add(block.take(copied))
        self._light.add(block.take(~copied).without_features())

    def flush(self) -> None:
        """Write all that is held."""
        self.spill.flush()
        self._light.flush()

    def read(
        self, split: SplitName, *, good: NDArray[np.bool_], delete: bool = False
    ) -> Iterator[Block]:
        """Yield the candidates of a split chunk by chunk."""
        spill = self.spill if self.copies(split) else self._light
        return spill.read(split, good=good, delete=delete)

    def sizes(self, split: SplitName, *, candidates: int) -> Sequence[int]:
        """Return how many candidates of a split each chunk has, leaving out empty ones."""
        sizes: list[int] = self._counts[split][self._counts[split] > 0].tolist()
        if sum(sizes) != candidates:
            raise RuntimeError(f"chunks of {split} hold {sum(sizes)} candidates, not {candidates}")
        return sizes

    def remove(self) -> None:
        """Remove everything from the disk."""
        self.spill.remove()
        self._light.remove()
        self._folder.rmdir()


class Place(NamedTuple):
    """Where the entries of a file go."""

    begin: int
    """Entries of all files before it, in the order of samples and paths."""
    cuts: NDArray[np.int64]
    """Entries at which it is cut into pieces, which are evenly spread over the chunks."""
    chunk: int
    """Of its first piece."""


def places(
    files: Sequence[InputFile], *, seams: Sequence[NDArray[np.int64]], chunks: int
) -> list[Place]:
    """Return the place of each file.

    The pieces of a sample are dealt to the chunks in turn, files in the order of their paths: so
    those of one slice, whose names are alike, are spread evenly.
    """
    found: dict[int, Place] = {}
    begin, dealt = 0, Counter[str]()
    of_sample = Counter(file.sample for file in files)
    for number in sorted(range(len(files)), key=lambda i: (files[i].sample, files[i].path)):
        file = files[number]
        wanted = math.ceil(PARTS * chunks / of_sample[file.sample])
        parts = max(1, min(wanted, file.entries // SMALLEST_PART, chunks))
        cuts = cut(file.entries, parts, seams=seams[number])
        found[number] = Place(begin, cuts, dealt[file.sample] % chunks)
        begin += file.entries
        dealt[file.sample] += parts
    return [found[number] for number in range(len(files))]


def cut(entries: int, parts: int, *, seams: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut a file into about equal pieces, at a seam where one is near.

    Args:
        entries: of the file.
        parts: number of pieces.
        seams: entries at which it costs nothing to cut.
    Returns:
        (parts - 1) entries at which pieces begin, increasing; each is a seam that is less than
        half a piece away from an equal cut, or the equal cut.
    """
    equal = np.arange(1, parts) * entries // parts
    if not len(seams) or not len(equal):
        return equal
    right = np.searchsorted(seams, equal).clip(1, len(seams) - 1)
    low, high = seams[right - 1], seams[right]
    nearest = np.where(equal - low <= high - equal, low, high)
    return np.where(np.abs(nearest - equal) * 2 * parts < entries, nearest, equal)
