"""What is kept of a split to compare its chunks: counts and sums of weights in bins."""

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
"""Parts that a split is compared in at least."""
MOST_OBJECTS = 40
"""Multiplicities from here on are one category."""
JOINT = ("pt", "eta")
"""Variables that are compared in the bins of both, where a dataset has them."""
_MOST_IN_ONE = 8
"""Bins of each of the two."""
_IN_BIN = 50
"""Candidates of a part in a bin of both on average, at least."""
KS, WEIGHTED_KS, CHI_SQUARE = "Kolmogorov-Smirnov", "weighted Kolmogorov-Smirnov", "chi-square"


@dataclass(frozen=True)
class ColumnNames:
    """What the columns of a dataset are called."""

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
class _Number:
    """Counts and sums of weights of one variable in bins, by part."""

    grid: QuantileGrid | None = None
    counts: list[NDArray[np.uint32]] = field(default_factory=list)
    sums: list[NDArray[np.float32]] = field(default_factory=list)
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    fourth: float = 0.0

    def add(self, values: NDArray[Any], weights: NDArray[np.float64]) -> None:
        if self.grid is None and len(values):
            self.grid = grid_of(values)
        bins = self.grid.bins_of(values).astype(np.intp) if self.grid else np.empty(0, np.intp)
        squared = weights**2
        self.counts.append(np.bincount(bins, minlength=BINS).astype(np.uint32))
        sums = np.bincount(bins, weights, minlength=BINS)
        self.sums.append(np.asarray(sums, dtype=np.float32))  # kept for every part
        self.squares += np.bincount(bins, squared, minlength=BINS)
        self.fourth += float((squared**2).sum())  # `@` wakes the threads of BLAS

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
class _Both:
    """Bins in two variables."""

    grids: tuple[QuantileGrid, QuantileGrid]
    bins: int
    """Of each variable."""

    @classmethod
    def of(cls, first: NDArray[Any], second: NDArray[Any], *, parts: int) -> _Both:
        """Choose bins by the quantiles of a chunk that is compared in some parts."""
        wanted = math.isqrt(len(first) // parts // _IN_BIN)
        return cls((grid_of(first), grid_of(second)), min(max(wanted, 2), _MOST_IN_ONE))

    def bins_of(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.int64]:
        one, other = (
            grid.bins_of(values).astype(np.int64) * self.bins // BINS
            for grid, values in zip(self.grids, (first, second), strict=True)
        )
        return one * self.bins + other


class ChunkHistograms:
    """What is kept of one split to compare its parts: a few kB a variable and part."""

    def __init__(self, split: SplitName, names: ColumnNames, *, chunks: int) -> None:
        self.split = split
        self.parts: list[str] = []
        self.sizes: list[int] = []
        self._names = names
        self._cuts = math.ceil(PARTS / chunks) if chunks else 1
        self._numbers: dict[str, _Number] = {}
        self._categories: dict[str, list[NDArray[np.int64]]] = {}
        self._both: _Both | None = None

    def add(
        self, chunk: str, content: StoredCandidates, *, samples: NDArray[np.int64] | None = None
    ) -> None:
        """Take a chunk.

        Args:
            chunk: its name.
            content: its candidates.
            samples: (candidate) number of the sample, where it is known.
        """
        numbers = list(self._columns(content))
        categories = list(self._kinds(content, samples))
        weights = np.asarray(content.weights, dtype=np.float64)
        edges = np.linspace(0, len(weights), self._cuts + 1).astype(int)
        for cut in range(self._cuts):
            start, stop = int(edges[cut]), int(edges[cut + 1])
            of = f" part {cut + 1} of {self._cuts}" if self._cuts > 1 else ""
            self.parts.append(chunk + of)
            self.sizes.append(stop - start)
            for name, values, rows in numbers:
                self._add(name, values, rows, weights=weights, between=(start, stop))
            for name, values in categories:
                found = np.bincount(values[start:stop])
                self._categories.setdefault(name, []).append(found)

    def _add(
        self,
        name: str,
        values: NDArray[Any],
        rows: NDArray[np.int64] | None,
        *,
        weights: NDArray[np.float64],
        between: tuple[int, int],
    ) -> None:
        start, stop = between
        number = self._numbers.setdefault(name, _Number())
        if rows is None:
            number.add(values[start:stop], weights[start:stop])
        else:
            low, high = np.searchsorted(rows, (start, stop))
            number.add(values[low:high], weights[rows[low:high]])

    def _columns(
        self, content: StoredCandidates
    ) -> Iterator[tuple[str, NDArray[Any], NDArray[np.int64] | None]]:
        """Yield name, values, and the candidates that have one (None: all)."""
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
            more = np.flatnonzero(counts > 1)
            further = values[offsets[more] + 1 + more % (counts[more] - 1)]  # any, in turn
            for column, name in enumerate(features):
                yield f"{group}.{name} of the first object", first[:, column], rows
                yield f"{group}.{name} of a further object", further[:, column], more

    def _kinds(
        self, content: StoredCandidates, samples: NDArray[np.int64] | None
    ) -> Iterator[tuple[str, NDArray[np.int64]]]:
        yield "class", content.labels.astype(np.int64)
        if samples is not None:
            yield "sample", samples
        both = [self._find(content, name) for name in JOINT]
        if len(content.labels) and both[0] is not None and both[1] is not None:
            self._both = self._both or _Both.of(both[0], both[1], parts=self._cuts)
            yield " and ".join(JOINT), self._both.bins_of(both[0], both[1])
        for group in self._names.groups:
            counts = np.diff(content.groups[group][1])
            yield f"number of {group}", np.minimum(counts, MOST_OBJECTS)

    def _find(self, content: StoredCandidates, name: str) -> NDArray[np.float32] | None:
        """Return a spectator, or else a feature, of the candidates."""
        for names, values in (
            (self._names.spectators, content.spectators),
            (self._names.candidate, content.candidate),
        ):
            if name in names:
                return values[:, names.index(name)]
        return None

    def tests(self) -> Iterator[tuple[str, str, HomogeneityTest]]:
        """Yield variable, kind of test and what it found, by part."""
        if len(self.parts) < 2:
            return
        for name, number in self._numbers.items():
            for kind, tested in number.tests():
                yield name, kind, tested
        for name, parts in self._categories.items():
            table = np.zeros((len(parts), max(map(len, parts))))
            for row, found in zip(table, parts, strict=True):
                row[: len(found)] = found
            yield name, CHI_SQUARE, homogeneity.chi_square(table)
