"""Histograms by which the chunks of a split are compared: counts and sums of weights in bins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SplitName
from tauopt.physics import homogeneity
from tauopt.physics.homogeneity import BINS, HomogeneityTest, QuantileGrid, grid_of

PARTS = 4
"""Parts in which a split is compared at least; a split of fewer chunks has parts of chunks."""
MOST_OBJECTS = 40
"""Multiplicities of this number or more are one category."""
JOINT = ("pt", "eta")
"""Variables that are also compared in two-dimensional bins, where a dataset has both."""
_MOST_BINS = 8
"""Bins of each of the two variables at most."""
_CANDIDATES_IN_BIN = 50
"""Candidates of a part in a two-dimensional bin at least, on average."""
KS, WEIGHTED_KS, CHI_SQUARE = "Kolmogorov-Smirnov", "weighted Kolmogorov-Smirnov", "chi-square"


@dataclass(frozen=True)
class ColumnNames:
    """Names of the columns of a dataset."""

    candidate: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    """Group -> features."""
    spectators: tuple[str, ...]


class StoredCandidates(Protocol):
    """Candidates in stored order, see `tauopt.prepare.candidate_blocks.Block`."""

    @property
    def labels(self) -> NDArray[np.int16]: ...  # noqa: D102
    @property
    def weights(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def event_numbers(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def candidate(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def spectators(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def groups(self) -> Mapping[str, tuple[NDArray[np.float32], NDArray[np.int64]]]: ...  # noqa: D102


@dataclass
class _Histogram:
    """Counts and sums of weights of one numeric variable in bins, by part."""

    grid: QuantileGrid | None = None
    counts: list[NDArray[np.uint32]] = field(default_factory=list)
    sums: list[NDArray[np.float32]] = field(default_factory=list)
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    """(bin) sums of squared weights over all parts."""
    fourth: float = 0.0
    """Sum of the fourth powers of all weights."""

    def add(self, values: NDArray[Any], weights: NDArray[np.float64]) -> None:
        if self.grid is None and len(values):
            self.grid = grid_of(values)
        bins = self.grid.bins_of(values).astype(np.intp) if self.grid else np.empty(0, np.intp)
        squared = weights**2
        self.counts.append(np.bincount(bins, minlength=BINS).astype(np.uint32))
        sums = np.bincount(bins, weights, minlength=BINS)
        self.sums.append(np.asarray(sums, dtype=np.float32))  # half the memory: kept for every part
        self.squares += np.bincount(bins, squared, minlength=BINS)
        self.fourth += float((squared**2).sum())  # not `@`, which starts the threads of BLAS

    def tests(self) -> Iterator[tuple[str, HomogeneityTest]]:
        counts = np.array(self.counts, dtype=np.float64)
        if self.grid is None:
            return
        yield KS, homogeneity.kolmogorov_smirnov(counts)
        yield (
            WEIGHTED_KS,
            homogeneity.weighted_kolmogorov_smirnov(
                np.array(self.sums, dtype=np.float64),
                self.squares,
                sizes=counts.sum(axis=1),
                fourth=self.fourth,
            ),
        )


@dataclass(frozen=True)
class _TwoDimensionalBins:
    grids: tuple[QuantileGrid, QuantileGrid]
    bins: int
    """Bins of each variable."""

    @classmethod
    def from_chunk(
        cls, first: NDArray[Any], second: NDArray[Any], *, parts: int
    ) -> _TwoDimensionalBins:
        """Choose bins by the quantiles of a chunk that is compared in some parts."""
        enough = math.isqrt(len(first) // parts // _CANDIDATES_IN_BIN)
        return cls((grid_of(first), grid_of(second)), min(max(enough, 2), _MOST_BINS))

    def bins_of(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.int64]:
        first_bin, second_bin = (
            grid.bins_of(values).astype(np.int64) * self.bins // BINS
            for grid, values in zip(self.grids, (first, second), strict=True)
        )
        return first_bin * self.bins + second_bin


class ChunkHistograms:
    """Histograms of one split by which its parts are compared: a few kB a variable and part."""

    def __init__(self, split: SplitName, names: ColumnNames, *, chunks: int) -> None:
        self.split = split
        self.parts: list[str] = []
        self.sizes: list[int] = []
        self._names = names
        self._cuts = math.ceil(PARTS / chunks) if chunks else 1
        self._histograms: dict[str, _Histogram] = {}
        self._categories: dict[str, list[NDArray[np.int64]]] = {}
        self._joint_bins: _TwoDimensionalBins | None = None

    def add(
        self, chunk: str, content: StoredCandidates, *, samples: NDArray[np.int64] | None = None
    ) -> None:
        """Add a chunk.

        Args:
            chunk: its name.
            content: its candidates.
            samples: (candidate) number of the sample, where it is known.
        """
        variables = list(self._variables_of(content))
        categories = list(self._categories_of(content, samples))
        weights = np.asarray(content.weights, dtype=np.float64)
        edges = np.linspace(0, len(weights), self._cuts + 1).astype(int)
        for cut in range(self._cuts):
            start, stop = int(edges[cut]), int(edges[cut + 1])
            part = f" part {cut + 1} of {self._cuts}" if self._cuts > 1 else ""
            self.parts.append(chunk + part)
            self.sizes.append(stop - start)
            for name, values, rows in variables:
                histogram = self._histograms.setdefault(name, _Histogram())
                if rows is None:
                    histogram.add(values[start:stop], weights[start:stop])
                else:
                    low, high = np.searchsorted(rows, (start, stop))
                    histogram.add(values[low:high], weights[rows[low:high]])
            for name, values in categories:
                counts = np.bincount(values[start:stop])
                self._categories.setdefault(name, []).append(counts)

    def _variables_of(
        self, content: StoredCandidates
    ) -> Iterator[tuple[str, NDArray[Any], NDArray[np.int64] | None]]:
        """Yield name, values, and the candidates that have a value (None: all)."""
        yield "event_numbers", content.event_numbers, None
        yield "weights", content.weights, None
        for column, name in enumerate(self._names.candidate):
            yield f"candidate.{name}", content.candidate[:, column], None
        for column, name in enumerate(self._names.spectators):
            yield f"spectators.{name}", content.spectators[:, column], None
        for group, features in self._names.groups.items():
            values, offsets = content.groups[group]
            counts = np.diff(offsets)
            rows = np.flatnonzero(counts)
            first = values[offsets[rows]]
            # The objects of one candidate are no independent draws: besides the first, one further
            # object is compared, at a position that goes round from candidate to candidate.
            more = np.flatnonzero(counts > 1)
            further = values[offsets[more] + 1 + more % (counts[more] - 1)]
            for column, name in enumerate(features):
                yield f"{group}.{name} of the first object", first[:, column], rows
                yield f"{group}.{name} of a further object", further[:, column], more

    def _categories_of(
        self, content: StoredCandidates, samples: NDArray[np.int64] | None
    ) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Yield name and category of each candidate, counted from 0."""
        yield "class", content.labels.astype(np.int64)
        if samples is not None:
            yield "sample", samples
        first, second = (self._column(content, name) for name in JOINT)
        if len(content.labels) and first is not None and second is not None:
            if self._joint_bins is None:
                self._joint_bins = _TwoDimensionalBins.from_chunk(first, second, parts=self._cuts)
            yield " and ".join(JOINT), self._joint_bins.bins_of(first, second)
        for group in self._names.groups:
            counts = np.diff(content.groups[group][1])
            yield f"number of {group}", np.minimum(counts, MOST_OBJECTS)

    def _column(self, content: StoredCandidates, name: str) -> NDArray[np.float32] | None:
        """Return the spectator of this name, or else the candidate feature; None without either."""
        for names, values in (
            (self._names.spectators, content.spectators),
            (self._names.candidate, content.candidate),
        ):
            if name in names:
                return values[:, names.index(name)]
        return None

    def tests(self) -> Iterator[tuple[str, str, HomogeneityTest]]:
        """Yield variable, kind of test and its result for each part."""
        if len(self.parts) < 2:
            return
        for name, histogram in self._histograms.items():
            for kind, tested in histogram.tests():
                yield name, kind, tested
        for name, counts_of_parts in self._categories.items():
            table = np.zeros((len(counts_of_parts), max(map(len, counts_of_parts))))
            for row, counts in zip(table, counts_of_parts, strict=True):
                row[: len(counts)] = counts
            yield name, CHI_SQUARE, homogeneity.chi_square(table)
