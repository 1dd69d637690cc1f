"""Bins in any number of variables, open at both ends, so that no value lies outside.

Bin i of an axis is [edges[i - 1], edges[i]): the first has no lower end, the last no upper one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.dataset import BinnedVariable
from tauopt.prepare.candidate_blocks import Block

SAMPLE = 1_000_000
"""Number of candidates, the first of the shuffled stream, whose quantiles are the bin edges."""


def quantile_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return the inner edges of bins that hold about equally many values.

    Returns:
        at most `bins - 1` increasing edges; fewer where many values are equal. The outermost
        bins are open, so that no value lies outside.
    """
    return np.unique(np.quantile(values, np.arange(1, bins) / bins)) if bins > 1 else np.empty(0)


def bin_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each value, 0 to len(edges): bin i is [edges[i - 1], edges[i])."""
    return np.searchsorted(edges, values, side="right").astype(np.int64)


@dataclass(frozen=True)
class BinEdges:
    """Bins of one variable."""

    name: str
    edges: NDArray[np.float64]

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.edges) + 1

    def describe(self, number: int) -> str:
        """Return the edges of a bin in words."""
        low = f"{self.edges[number - 1]:.6g}" if number else ""
        high = f"{self.edges[number]:.6g}" if number < len(self.edges) else ""
        if low and high:
            return f"{self.name} {low} to {high}"
        return f"{self.name} from {low}" if low else f"{self.name} below {high or 'infinity'}"


@dataclass(frozen=True)
class BinGrid:
    """Bins in some variables; without variables, one bin that holds everything."""

    axes: tuple[BinEdges, ...]

    @property
    def size(self) -> int:
        """Number of bins over all axes."""
        return math.prod(axis.bins for axis in self.axes)

    def index(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the bin of each candidate, 0 to size - 1; the last axis runs fastest.

        Args:
            values: (candidate, axis).
        """
        index = np.zeros(len(values), dtype=np.int64)
        for column, axis in enumerate(self.axes):
            index = index * axis.bins + bin_of(values[:, column], axis.edges)
        return index

    def describe(self, number: int) -> str:
        """Return the edges of a bin in words."""
        parts = np.unravel_index(number, [axis.bins for axis in self.axes]) if self.axes else ()
        words = [axis.describe(int(i)) for axis, i in zip(self.axes, parts, strict=True)]
        return ", ".join(words) or "everything"


def find_bins(
    blocks: Iterable[Block], variables: Mapping[str, BinnedVariable], *, changed: Sequence[int]
) -> BinGrid:
    """Choose bins: the given edges, or quantiles of the classes that are reweighted.

    Args:
        blocks: training candidates in shuffled order; the first `SAMPLE` are used.
        variables: by name, in the order of the blocks' `spectrum`.
        changed: labels of the classes that are reweighted.
    """
    parts, held = [], 0
    if any(not variable.edges for variable in variables.values()):
        for block in blocks:
            parts.append(block.spectrum[np.isin(block.labels, changed)])
            held += len(parts[-1])
            if held >= SAMPLE:
                break
    values = np.concatenate(parts)[:SAMPLE] if held else None
    axes = []
    for column, (name, variable) in enumerate(variables.items()):
        edges = np.array(variable.edges, dtype=np.float64)
        if not len(edges) and values is not None:
            edges = quantile_edges(values[:, column], variable.bins)
        axes.append(BinEdges(variable.expression or name, edges))
    return BinGrid(tuple(axes))
