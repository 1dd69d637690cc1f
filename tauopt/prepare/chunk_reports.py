"""The reports that stand beside the chunks, filled while the chunks are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.chunk_writer import write_report
from tauopt.dataset.manifest import ChunkFile, SplitName
from tauopt.prepare import chunk_validation, split_sizes
from tauopt.prepare.binning import BinGrid
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.chunk_histograms import ChunkHistograms, ColumnNames
from tauopt.prepare.dataset_expressions import DatasetExpressions
from tauopt.prepare.input_files import InputFile
from tauopt.prepare.split_sizes import SplitSizes


class ChunkReports:
    """Counts what every chunk holds, and says at the end whether chunks are alike.

    Chunks that are streamed directly are slices of their files by design and no random samples:
    a dataset with such chunks is not compared.
    """

    def __init__(
        self, plan: DatasetExpressions, files: Sequence[InputFile], *, bins: BinGrid, compared: bool
    ) -> None:
        self._names = ColumnNames(
            tuple(feature.name for feature in plan.candidate),
            {group.name: tuple(one.name for one in group.features) for group in plan.groups},
            tuple(plan.spectators),
        )
        samples = list(dict.fromkeys(file.sample for file in files))
        self._sample = np.array([samples.index(file.sample) for file in files], dtype=np.int64)
        self._sizes = SplitSizes(bins, samples=samples, classes=list(plan.classes))
        self._tallies: list[ChunkHistograms] = []
        self._compared = compared

    def begin(self, split: SplitName, *, chunks: int) -> None:
        """Begin a split of some chunks."""
        self._tallies.append(ChunkHistograms(split, self._names, chunks=chunks))

    def count(
        self,
        split: SplitName,
        block: Block,
        *,
        weights: NDArray[np.float64],
        times: NDArray[np.int64] | None = None,
    ) -> None:
        """Take candidates of a split with their final weights; see `SplitSizes.add`."""
        samples = self._sample[block.files]
        self._sizes.add(split, block, samples=samples, weights=weights, times=times)

    def compare(self, chunk: str, block: Block) -> None:
        """Take the next chunk of the split that was begun last, as it is written."""
        if self._compared:
            self._tallies[-1].add(chunk, block, samples=self._sample[block.files])

    def write(self, folder: Path, *, name: str) -> dict[str, ChunkFile]:
        """Check and write all reports; return their entries in the manifest.

        Raises:
            DataError: chunks are no random samples of their splits.
        """
        contents = {split_sizes.REPORT: self._sizes.plain()}
        if self._compared:
            found = chunk_validation.compare(self._tallies)
            found.check(name)
            contents[chunk_validation.REPORT] = found.plain()
        return {file: write_report(folder, file, plain) for file, plain in contents.items()}
