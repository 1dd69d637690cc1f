"""Is every chunk a random sample of its split? Each chunk is compared with the rest.

Numbers (candidate features, spectators, weights, event numbers, and each feature of a
candidate's first object and of one of its further ones: the objects of one candidate are no
independent draws) by plain and weighted Kolmogorov-Smirnov tests, categories (class, sample,
multiplicities, bins in pT and eta together) by chi-square tests.
The p-values of a dataset are adjusted together by Holm's method. Chunks are uniform by
construction, so one adjusted p-value below `LEVEL` means a bug or a damaged folder.

A split of few chunks is compared in parts of chunks, at least four.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tauopt.dataset.manifest import SplitName
from tauopt.errors import DataError
from tauopt.physics import homogeneity
from tauopt.prepare.chunk_histograms import ChunkHistograms

LEVEL = 1e-4
"""Chance that a dataset without fault is refused."""
REPORT = "validation.json"
_TOLD = 5


@dataclass(frozen=True)
class ChunkComparison:
    """One part compared with the rest of its split in one variable."""

    split: SplitName
    part: str
    variable: str
    test: str
    statistic: float
    p: float
    adjusted: float
    """p-value that allows for the number of tests."""

    def __str__(self) -> str:
        return f"{self.part}, {self.variable}: {self.test} p = {self.p:.2g}"


@dataclass(frozen=True)
class ChunkValidation:
    """All comparisons of a dataset."""

    comparisons: tuple[ChunkComparison, ...]
    sizes: Mapping[SplitName, Mapping[str, int]]
    """Split -> part -> candidates."""

    @property
    def failures(self) -> list[ChunkComparison]:
        """Comparisons that a random sample fails with a chance below `LEVEL` in all."""
        failed = [one for one in self.comparisons if one.adjusted < LEVEL]
        return sorted(failed, key=lambda one: one.p)

    @property
    def smallest(self) -> float:
        """The smallest adjusted p-value; 1 without tests."""
        return min((one.adjusted for one in self.comparisons), default=1.0)

    def plain(self) -> dict[str, Any]:
        """Return what goes into the report."""
        splits: dict[str, Any] = {
            split: {"candidates": dict(sizes), "p": {}} for split, sizes in self.sizes.items()
        }
        for one in self.comparisons:
            kinds = splits[one.split]["p"].setdefault(one.variable, {})
            kinds.setdefault(one.test, {})[one.part] = float(f"{one.p:.4g}")
        return {
            "tests": len(self.comparisons),
            "correction": "Holm",
            "level": LEVEL,
            "smallest_adjusted_p": self.smallest,
            "failures": [vars(one) for one in self.failures],
            "splits": splits,
        }

    def check(self, where: str) -> None:
        """Refuse chunks that are no random samples.

        Raises:
            DataError: names chunks, variables and p-values.
        """
        failures = self.failures
        if failures:
            more = f"; and {len(failures) - _TOLD} more" if len(failures) > _TOLD else ""
            raise DataError(
                f"{where}: chunks are not random samples of their split: "
                + "; ".join(map(str, failures[:_TOLD]))
                + f"{more} ({len(failures)} of {len(self.comparisons)} tests below {LEVEL:g} after "
                "Holm's correction); chunks are shuffled by construction, so this is a damaged or "
                "hand-made folder, or a bug: delete it, run `tauopt prepare` again, and tell us"
            )


def compare(tallies: Sequence[ChunkHistograms]) -> ChunkValidation:
    """Compare all parts of all splits with the rest of their split."""
    found = [
        (tally.split, part, variable, kind, float(statistic), float(p))
        for tally in tallies
        for variable, kind, tested in tally.tests()
        for part, statistic, p in zip(tally.parts, tested.statistic, tested.p, strict=True)
        if not math.isnan(p)
    ]
    adjusted = homogeneity.holm(np.array([one[-1] for one in found]))
    return ChunkValidation(
        tuple(ChunkComparison(*one, float(a)) for one, a in zip(found, adjusted, strict=True)),
        {tally.split: dict(zip(tally.parts, tally.sizes, strict=True)) for tally in tallies},
    )
