"""Resampling of the training split between the two passes: count, draw and arrange candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SPLITS, Resampled, SplitName
from tauopt.errors import DataError
from tauopt.prepare.candidate_blocks import Block, chunk_sizes
from tauopt.prepare.folder_writer import check_space
from tauopt.prepare.out_of_core_shuffle import Arrangement, Shuffled, SpillFiles
from tauopt.prepare.resample import ResamplingDraws, copies
from tauopt.prepare.spill_files import SpillFile, SpillPiece, SpillWriter, read_pieces, sorted_block

CountBlock = Callable[[Block, NDArray[np.float64], NDArray[np.int64]], None]
"""Takes candidates, the weight of all draws of each, and how often each is drawn, (candidate)."""


def count_draws(
    blocks: Iterator[Block], draws: ResamplingDraws, *, count_block: CountBlock
) -> Resampled:
    """Count the draws of all training candidates by class.

    Args:
        blocks: the candidates in shuffled order; features are not needed.
        draws: how often each is drawn.
        count_block: called with each block, for further counts.
    Raises:
        DataError: no candidate was drawn of a class for which some were expected.
    """
    before, different, after = np.zeros((3, len(draws.classes)), np.int64)
    most = 0
    for block in blocks:
        times = draws.times(block)
        count_block(block, draws.weigh(block).weights * times, times)
        before += np.bincount(block.labels, minlength=len(before))
        different += np.bincount(block.labels[times > 0], minlength=len(before))
        after += np.bincount(block.labels, times, minlength=len(before)).astype(np.int64)
        most = max(most, int(times.max(initial=0)))
    _check_classes(draws, after)
    by_class = [
        dict(zip(draws.classes, counts.tolist(), strict=True))
        for counts in (before, different, after)
    ]
    return Resampled(before=by_class[0], different=by_class[1], drawn=by_class[2], most=most)


def _check_classes(draws: ResamplingDraws, after: NDArray[np.int64]) -> None:
    lost = [
        f"{name!r} ({expected:.2g} expected)"
        for name, expected, drawn in zip(draws.classes, draws.expected, after, strict=True)
        if expected > 0 and not drawn
    ]
    if lost:
        raise DataError(
            f"resample: no candidate was drawn of class {', '.join(lost)}, whose share of the sum "
            "of weights is small: set the shares (`proportions`), set more `candidates`, or "
            "take wider bins"
        )


def arrange_draws(
    arranged: Arrangement,
    parts: SpillFiles,
    draws: ResamplingDraws,
    *,
    counts: Resampled,
    folder: Path,
    chunk_size: int,
) -> Arrangement:
    """Return the arrangement in which training candidates stand as often as they are drawn.

    If no candidate is drawn twice, candidates are left out while they are read. Or else all draws
    are written to the disk, since a copy may stand anywhere in the shuffled order.

    Args:
        arranged: all candidates.
        parts: the same, by number of the file.
        draws: how often each is drawn.
        counts: the counts of all draws.
        folder: for the draws; made if any candidate is drawn twice.
        chunk_size: candidates of a chunk at most.
    Raises:
        ServiceError: the disk is too small.
    """
    candidates = sum(counts.drawn.values())
    if counts.most < 2:
        return _Thinned(arranged, draws, candidates, chunk_size)
    folder.mkdir()
    ratio = candidates / sum(counts.before.values())
    drawn = {
        number: _write_draws(number, parts_of_file, draws, folder, ratio=ratio)
        for number, parts_of_file in parts.items()
    }
    return Shuffled(drawn, chunk_size=chunk_size)


def _write_draws(
    number: int, parts: Sequence[SpillFile], draws: ResamplingDraws, folder: Path, *, ratio: float
) -> list[SpillFile]:
    """Write the draws from one file's training candidates into new parts."""
    writer = SpillWriter(folder, f"{number:06d}", temporary=True)
    for part in parts:
        start, rows = part.first("train"), part.rows[SPLITS.index("train")]
        if rows:
            check_space(folder, ratio * part.bytes * rows / sum(part.rows))
            block = read_pieces([SpillPiece(part, number, start, start + rows)], "train")
            for piece in copies(draws.weigh(block), draws.times(block)):
                writer.add(sorted_block(piece))
    writer.close()
    return writer.parts


@dataclass(frozen=True)
class _Thinned:
    """Training candidates that are drawn once or not at all."""

    arranged: Arrangement
    draws: ResamplingDraws
    candidates: int
    chunk_size: int

    def copies(self, split: SplitName) -> bool:
        """Return whether the features of a split are copied."""
        return self.arranged.copies(split)

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield the drawn candidates of the training split in its order."""
        for block in self.arranged.read(split, features=features):
            yield self.draws.weigh(block).take(self.draws.times(block) > 0)

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Divide the drawn candidates into equal chunks."""
        del split
        return chunk_sizes(self.candidates, self.chunk_size)
