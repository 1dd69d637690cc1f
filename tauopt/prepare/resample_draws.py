"""The training split drawn anew, between the two passes: counted, drawn, and arranged again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SPLITS, Resampled, SplitName
from tauopt.errors import DataError
from tauopt.prepare.candidate_blocks import Block, chunk_sizes
from tauopt.prepare.disk_space import check_space
from tauopt.prepare.out_of_core_shuffle import Arrangement, Shuffled, SpillFiles
from tauopt.prepare.resample import ResamplingDraws, copies
from tauopt.prepare.spill_files import SpillFile, SpillPiece, SpillWriter, read_pieces, sorted_block

HandDraws = Callable[[Block, NDArray[np.float64], NDArray[np.int64]], None]
"""Is given candidates, the weight of all draws of each, and how often each is drawn."""


def count_draws(blocks: Iterator[Block], draw: ResamplingDraws, *, told: HandDraws) -> Resampled:
    """Count what is drawn of all training candidates.

    Args:
        blocks: the candidates in shuffled order; their features are not needed.
        draw: how often each is drawn.
        told: who counts too.
    Raises:
        DataError: no candidate was drawn of a class of which some were expected.
    """
    before, different, after = np.zeros((3, len(draw.classes)), np.int64)
    most = 0
    for block in blocks:
        times = draw.times(block)
        told(block, draw.weigh(block).weights * times, times)
        before += np.bincount(block.labels, minlength=len(before))
        different += np.bincount(block.labels[times > 0], minlength=len(before))
        after += np.bincount(block.labels, times, minlength=len(before)).astype(np.int64)
        most = max(most, int(times.max(initial=0)))
    _check_classes(draw, after)
    by_class = [
        dict(zip(draw.classes, numbers.tolist(), strict=True))
        for numbers in (before, different, after)
    ]
    return Resampled(before=by_class[0], different=by_class[1], drawn=by_class[2], most=most)


def _check_classes(draw: ResamplingDraws, after: NDArray[np.int64]) -> None:
    lost = [
        f"{name!r} ({expected:.2g} expected)"
        for name, expected, drawn in zip(draw.classes, draw.expected, after, strict=True)
        if expected > 0 and not drawn
    ]
    if lost:
        raise DataError(
            f"resample: no candidate was drawn of class {', '.join(lost)}, whose share of the sum "
            "of weights is small: set the shares (`proportions`), ask for more `candidates`, or "
            "take wider bins"
        )


def arrange_draws(
    arranged: Arrangement,
    parts: SpillFiles,
    draw: ResamplingDraws,
    *,
    told: Resampled,
    folder: Path,
    chunk_size: int,
) -> Arrangement:
    """Arrange training candidates as often as they are drawn.

    Without copies candidates are left out as they are read. With copies all draws are written
    to the disk once, since a copy stands anywhere.

    Args:
        arranged: all candidates.
        parts: the same, by number of the file.
        draw: how often each is drawn.
        told: the counts of all draws.
        folder: to be made for the draws, if any candidate is drawn twice.
        chunk_size: of the chunks.
    Raises:
        ServiceError: the disk is too small.
    """
    if told.most < 2:
        return _Thinned(arranged, draw, sum(told.drawn.values()), chunk_size)
    folder.mkdir()
    ratio = sum(told.drawn.values()) / sum(told.before.values())
    return Shuffled(
        {number: _redrawn(number, of_file, draw, folder, ratio=ratio)
         for number, of_file in parts.items()},
        chunk_size=chunk_size,
    )  # fmt: skip


def _redrawn(
    number: int, parts: Sequence[SpillFile], draw: ResamplingDraws, folder: Path, *, ratio: float
) -> list[SpillFile]:
    """Write the draws from one file's training candidates into parts of their own."""
    writer = SpillWriter(folder, f"{number:06d}", temporary=True)
    for part in parts:
        start, rows = part.first("train"), part.rows[SPLITS.index("train")]
        if rows:
            check_space(folder, ratio * part.bytes * rows / sum(part.rows))
            block = read_pieces([SpillPiece(part, number, start, start + rows)], "train")
            for piece in copies(draw.weigh(block), draw.times(block)):
                writer.add(sorted_block(piece))
    writer.close()
    return writer.parts


@dataclass(frozen=True)
class _Thinned:
    """Training candidates, of which some are left out."""

    arranged: Arrangement
    draw: ResamplingDraws
    candidates: int
    chunk_size: int

    def copies(self, split: SplitName) -> bool:
        """Say whether the features of a split are copied."""
        return self.arranged.copies(split)

    def read(self, split: SplitName, *, features: bool = True) -> Iterator[Block]:
        """Yield what is left of the training split in its order."""
        for block in self.arranged.read(split, features=features):
            yield self.draw.weigh(block).take(self.draw.times(block) > 0)

    def sizes(self, split: SplitName) -> Sequence[int]:
        """Divide what is left into equal chunks."""
        del split
        return chunk_sizes(self.candidates, self.chunk_size)
