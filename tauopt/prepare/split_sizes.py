"""How many candidates of each sample and class are in each split and bin, and what they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SPLITS, SplitName
from tauopt.prepare.binning import BinGrid
from tauopt.prepare.candidate_blocks import Block

REPORT = "sizes.json"


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
        """Take candidates of one split.

        Args:
            split: which.
            block: with their final weights.
            samples: (candidate) number of the sample.
            weights: (candidate) before balancing.
            times: (candidate) how often each is drawn, if they are; its final weight is then
                that of all draws.
        """
        number, shape = SPLITS.index(split), self.counts.shape[1:]
        index = samples * len(self._classes) + block.labels
        index = index * self._bins.size + self._bins.index(block.spectrum)
        size = self.counts[number].size
        self.counts[number] += np.bincount(index, minlength=size).reshape(shape)
        self.before[number] += np.bincount(index, weights, minlength=size).reshape(shape)
        self.after[number] += np.bincount(index, block.weights, minlength=size).reshape(shape)
        if times is not None:
            drawn = np.bincount(index, times, minlength=size).reshape(shape)
            self.drawn[number] += drawn.astype(np.int64)

    def plain(self) -> dict[str, Any]:
        """Return the report: edges of the axes, and columns of all bins that are not empty."""
        rows = np.nonzero(self.counts)
        split, sample, label, number = rows
        return {
            "axes": [{"name": a.name, "edges": a.edges.tolist()} for a in self._bins.axes],
            "columns": {
                "split": [SPLITS[i] for i in split],
                "sample": [self._samples[i] for i in sample],
                "class": [self._classes[i] for i in label],
                "bin": number.tolist(),
                "candidates": self.counts[rows].tolist(),
                "weights": self.before[rows].tolist(),
                "balanced": self.after[rows].tolist(),
                **({"drawn": self.drawn[rows].tolist()} if self.drawn.any() else {}),
            },
        }
