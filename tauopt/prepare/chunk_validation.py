"""Test whether every chunk is a random sample of its split, by comparing it with the rest.

Numbers are compared by plain and weighted Kolmogorov-Smirnov tests: candidate features, spectators,
weights, event numbers, and each feature of a candidate's first object and of one further object.
Categories are compared by chi-square tests: class, sample, multiplicities, and bins in pT and eta
together. The p-values of a dataset are adjusted together by Holm's method. A split of few chunks is
compared in parts of chunks, at least four.
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
"""Probability that a dataset without fault is refused (family-wise error rate).

Chunks are uniform by construction, so one smaller p-value means a bug or a damaged folder."""
REPORT = "validation.json"
_NAMED = 5
"""Failures that the error names."""


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
    """p-value after Holm's correction for the number of tests."""

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
        """Comparisons with an adjusted p-value below `LEVEL`, smallest p-value first."""
        failed = [comparison for comparison in self.comparisons if comparison.adjusted < LEVEL]
        return sorted(failed, key=lambda comparison: comparison.p)

    @property
    def smallest(self) -> float:
        """The smallest adjusted p-value; 1 without tests."""
        return min((comparison.adjusted for comparison in self.comparisons), default=1.0)

    def plain(self) -> dict[str, Any]:
        """Return the report for JSON."""
        splits: dict[str, Any] = {
            split: {"candidates": dict(sizes), "p": {}} for split, sizes in self.sizes.items()
        }
        for comparison in self.comparisons:
            tests = splits[comparison.split]["p"].setdefault(comparison.variable, {})
            p_by_part = tests.setdefault(comparison.test, {})
            p_by_part[comparison.part] = float(f"{comparison.p:.4g}")
        return {
            "tests": len(self.comparisons),
            "correction": "Holm",
            "level": LEVEL,
            "smallest_adjusted_p": self.smallest,
            "failures": [vars(comparison) for comparison in self.failures],
            "splits": splits,
        }

    def check(self, where: str) -> None:
        """Check that all chunks are random samples.

        Args:
            where: name of the dataset, for the message.
        Raises:
            DataError: some are not; names chunks, variables and p-values.
        """
        failures = self.failures
        if failures:
            more = f"; and {len(failures) - _NAMED} more" if len(failures) > _NAMED else ""
            raise DataError(
                f"{where}: chunks are not random samples of their split: "
                + "; ".join(map(str, failures[:_NAMED]))
                + f"{more} ({len(failures)} of {len(self.comparisons)} tests below {LEVEL:g} after "
                "Holm's correction); chunks are shuffled by construction, so this is a damaged or "
                "hand-made folder, or a bug: delete it, run `tauopt prepare` again, and report the "
                "bug if the error comes back"
            )


def compare(splits: Sequence[ChunkHistograms]) -> ChunkValidation:
    """Compare each part of each split with the rest of its split."""
    results = [
        (split.split, part, variable, kind, float(statistic), float(p))
        for split in splits
        for variable, kind, tested in split.tests()
        for part, statistic, p in zip(split.parts, tested.statistic, tested.p, strict=True)
        if not math.isnan(p)  # too few candidates for the test
    ]
    adjusted = homogeneity.holm(np.array([p for *_, p in results]))
    return ChunkValidation(
        tuple(ChunkComparison(*row, float(p)) for row, p in zip(results, adjusted, strict=True)),
        {split.split: dict(zip(split.parts, split.sizes, strict=True)) for split in splits},
    )
