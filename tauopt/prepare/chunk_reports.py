"""The reports beside the chunks, filled while the chunks are written: sizes and validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.chunk_writer import write_report
from tauopt.dataset.manifest import SPLITS, ChunkFile, SplitName
from tauopt.prepare import chunk_validation
from tauopt.prepare.binning import BinGrid
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.chunk_histograms import ChunkHistograms, ColumnNames
from tauopt.prepare.dataset_expressions import DatasetExpressions
from tauopt.prepare.input_files import InputFile

SIZES = "sizes.json"


class SplitSizes:
    """Counts and sums of weights before and after balancing, by split, sample, class and bin."""

    def __init__(self, bins: BinGrid, *, samples: Sequence[str], classes: Sequence[str]) -> None:
        shape = (len(SPLITS), len(samples), len(classes), bins.size)
        self._bins, self._samples, self._classes = bins, tuple(samples), tuple(classes)
        self.counts = np.zeros(shape, dtype=np.int64)
        self.before = np.zeros(shape)
        self.after = np.zeros(shape)
        self.drawn = np.zeros(shape, dtype=np.int64)

    def add(
        self,
        split: SplitName,
        block: Block,
        *,
        samples: NDArray[np.int64],
        weights: NDArray[np.float64],
        times: NDArray[np.int64] | None = None,
    ) -> None:
        """Add candidates of one split.

        Args:
            split: the split.
            block: candidates with their final weights.
            samples: (candidate) number of the sample.
            weights: (candidate) before balancing.
            times: (candidate) how often each is drawn, if candidates are resampled; its final
                weight is then that of all its draws.
        """
        split_index, shape = SPLITS.index(split), self.counts.shape[1:]
        index = samples * len(self._classes) + block.labels
        index = index * self._bins.size + self._bins.index(block.spectrum)
        size = self.counts[split_index].size
        self.counts[split_index] += np.bincount(index, minlength=size).reshape(shape)
        self.before[split_index] += np.bincount(index, weights, minlength=size).reshape(shape)
        self.after[split_index] += np.bincount(index, block.weights, minlength=size).reshape(shape)
        if times is not None:
            drawn = np.bincount(index, times, minlength=size).reshape(shape)
            self.drawn[split_index] += drawn.astype(np.int64)

    def plain(self) -> dict[str, Any]:
        """Return the report: edges of the axes, and columns of all bins that are not empty."""
        rows = np.nonzero(self.counts)
        split, sample, label, bin_number = rows
        return {
            "axes": [{"name": a.name, "edges": a.edges.tolist()} for a in self._bins.axes],
            "columns": {
                "split": [SPLITS[i] for i in split],
                "sample": [self._samples[i] for i in sample],
                "class": [self._classes[i] for i in label],
                "bin": bin_number.tolist(),
                "candidates": self.counts[rows].tolist(),
                "weights": self.before[rows].tolist(),
                "balanced": self.after[rows].tolist(),
                **({"drawn": self.drawn[rows].tolist()} if self.drawn.any() else {}),
            },
        }


class ChunkReports:
    """Count the content of every chunk, and test at the end whether chunks are random samples."""

    def __init__(
        self, plan: DatasetExpressions, files: Sequence[InputFile], *, bins: BinGrid, compared: bool
    ) -> None:
        """Begin empty reports.

        Args:
            plan: the dataset's expressions.
            files: the input files, by number.
            bins: of the balanced variables.
            compared: compare chunks with the rest of their split. Chunks that are streamed directly
                are slices of their files by design and no random samples: they are not compared.
        """
        self._names = ColumnNames(
            tuple(feature.name for feature in plan.candidate),
            {
                group.name: tuple(feature.name for feature in group.features)
                for group in plan.groups
            },
            tuple(plan.spectators),
        )
        samples = list(dict.fromkeys(file.sample for file in files))
        self._sample = np.array([samples.index(file.sample) for file in files], dtype=np.int64)
        self._sizes = SplitSizes(bins, samples=samples, classes=list(plan.classes))
        self._histograms: list[ChunkHistograms] = []
        self._compared = compared

    def begin(self, split: SplitName, *, chunks: int) -> None:
        """Begin a split of some chunks."""
        self._histograms.append(ChunkHistograms(split, self._names, chunks=chunks))

    def count(
        self,
        split: SplitName,
        block: Block,
        *,
        weights: NDArray[np.float64],
        times: NDArray[np.int64] | None = None,
    ) -> None:
        """Count candidates of a split with their final weights; see `SplitSizes.add`."""
        samples = self._sample[block.files]
        self._sizes.add(split, block, samples=samples, weights=weights, times=times)

    def compare(self, chunk: str, block: Block) -> None:
        """Histogram the next chunk of the split that was begun last, as it is written."""
        if self._compared:
            self._histograms[-1].add(chunk, block, samples=self._sample[block.files])

    def write(self, folder: Path, *, name: str) -> dict[str, ChunkFile]:
        """Check and write all reports; return their entries in the manifest.

        Raises:
            DataError: chunks are no random samples of their splits.
        """
        contents = {SIZES: self._sizes.plain()}
        if self._compared:
            validation = chunk_validation.compare(self._histograms)
            validation.check(name)
            contents[chunk_validation.REPORT] = validation.plain()
        return {file: write_report(folder, file, content) for file, content in contents.items()}
