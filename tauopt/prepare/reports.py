"""The reports that stand beside the chunks, filled while the chunks are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import ChunkFile, SplitName
from tauopt.dataset.write import write_report
from tauopt.prepare import validation
from tauopt.prepare.blocks import Block
from tauopt.prepare.plan import Plan
from tauopt.prepare.sources import InputFile
from tauopt.prepare.tally import Names, Tally


class Reports:
    """Counts what every chunk holds, and says at the end whether chunks are alike.

    Chunks that are streamed directly are slices of their files by design and no random samples:
    a dataset with such chunks is not compared.
    """

    def __init__(self, plan: Plan, files: Sequence[InputFile], *, compared: bool) -> None:
        self._names = Names(
            tuple(feature.name for feature in plan.candidate),
            {group.name: tuple(one.name for one in group.features) for group in plan.groups},
            tuple(plan.spectators),
        )
        self._sample: NDArray[np.int64] = _sample_numbers(files)
        self._tallies: list[Tally] = []
        self._compared = compared

    def begin(self, split: SplitName, *, chunks: int) -> None:
        """Begin a split of some chunks."""
        self._tallies.append(Tally(split, self._names, chunks=chunks))

    def add(self, chunk: str, block: Block) -> None:
        """Take the next chunk of the split, as it is written."""
        if self._compared:
            self._tallies[-1].add(chunk, block, samples=self._sample[block.files])

    def write(self, folder: Path, *, name: str) -> dict[str, ChunkFile]:
        """Check and write all reports; return their entries in the manifest.

        Raises:
            DataError: chunks are no random samples of their splits.
        """
        if not self._compared:
            return {}
        found = validation.compare(self._tallies)
        found.check(name)
        return {validation.REPORT: write_report(folder, validation.REPORT, found.plain())}


def _sample_numbers(files: Sequence[InputFile]) -> NDArray[np.int64]:
    """Return the number of each file's sample, (file)."""
    names = list(dict.fromkeys(file.sample for file in files))
    return np.array([names.index(file.sample) for file in files], dtype=np.int64)
