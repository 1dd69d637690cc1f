"""Candidates counted by bin and by which cuts they pass: all that efficiencies need, and errors.

A bootstrap of N candidates gives each a Poisson(1) number of times. What it makes of a cell is a
random sum of weights, whose mean and variance are the sums of w and of w^2. It is drawn here as a
scaled Poisson number of that mean and variance, positive and negative weights by themselves: exact
for equal weights, and as fast for ten million candidates as for ten thousand.

G. Bohm, G. Zech, "Statistics of weighted Poisson events and its applications", Nucl. Instrum.
Meth. A 748 (2014) 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.estimate import Estimate, wilson
from tauopt.physics.intervals import clopper_pearson

Floats = NDArray[np.float64]
Passes = NDArray[np.bool_]

REPLICAS = 500
"""Fewer than `bootstrap.REPLICAS`: they give 68 % intervals only, whose ends are then known to 6 %
of their length."""
_ENDS = (15.865, 84.135)


@dataclass(frozen=True)
class BinnedCounts:
    """Candidates by bin and by which of K cuts they pass.

    Attributes:
        patterns: (pattern, K) bool, the combinations that occur.
        counts: (bin, pattern) candidates.
        sums: (2, bin, pattern) sums of positive weights, and of negative ones without sign.
        squares: (2, bin, pattern) sums of squared weights likewise.
        equal: whether all weights are the same, so that counting is exact.
    """

    patterns: Passes
    counts: NDArray[np.int64]
    sums: Floats
    squares: Floats
    equal: bool

    @property
    def signed(self) -> Floats:
        """Sums of weights, (bin, pattern)."""
        return np.asarray(self.sums[0] - self.sums[1])

    def fractions(self, sums: Floats) -> Floats:
        """Return the fraction that passes each cut, NaN where weights don't add up to more than 0.

        Args:
            sums: (..., bin, pattern) as `signed` or `resampled`.
        Returns:
            (..., bin, K).
        """
        total = sums.sum(axis=-1)[..., None]
        passed = np.stack([sums[..., one].sum(axis=-1) for one in self.patterns.T], axis=-1)
        return np.where(total > 0, passed / np.where(total > 0, total, 1.0), np.nan)

    def resampled(self, rng: np.random.Generator, replicas: int = REPLICAS) -> Floats:
        """Return sums of weights (replica, bin, pattern) as a bootstrap has them."""
        scale = np.divide(
            self.squares, self.sums, where=self.sums > 0, out=np.zeros_like(self.sums)
        )
        mean = np.divide(self.sums, scale, where=scale > 0, out=np.zeros_like(self.sums))
        drawn = scale * rng.poisson(mean, (replicas, *mean.shape))
        return np.asarray(drawn[:, 0] - drawn[:, 1])


def cells_of(
    passes: Passes, weights: Floats, *, index: NDArray[np.integer] | None = None, bins: int = 1
) -> BinnedCounts:
    """Count candidates.

    Args:
        passes: (N, K) bool.
        weights: (N,) may be negative.
        index: (N,) bin of each candidate, from 0; None is one bin of all.
        bins: how many there are.
    """
    powers = 2 ** np.arange(passes.shape[1], dtype=np.int64)
    found, pattern = np.unique(passes.astype(np.int64) @ powers, return_inverse=True)
    size = max(len(found), 1)
    cell = pattern + size * (np.zeros(len(weights), np.int64) if index is None else index)

    def by_cell(values: Floats) -> Floats:
        summed = np.bincount(cell, values, minlength=bins * size)
        return np.asarray(summed, np.float64).reshape(bins, size)

    parts = np.maximum(weights, 0.0), np.maximum(-weights, 0.0)
    return BinnedCounts(
        patterns=(found[:, None] & powers != 0) if len(found) else np.zeros((1, len(powers)), bool),
        counts=np.bincount(cell, minlength=bins * size).reshape(bins, size),
        sums=np.stack([by_cell(part) for part in parts]),
        squares=np.stack([by_cell(part**2) for part in parts]),
        equal=len(weights) > 0 and bool(weights[0] > 0) and bool((weights == weights[0]).all()),
    )


def efficiencies(cells: BinnedCounts, *, rng: np.random.Generator) -> list[list[Estimate | None]]:
    """Return the fraction that passes each cut in each bin, with its 68 % interval.

    Equal weights: Clopper and Pearson's interval. Others: from the 16th to the 84th percentile of
    the bootstrap, and at least what Wilson's of none (all) of the effective number of candidates
    leaves open: a bootstrap knows no weights but those that it has seen pass.

    Returns:
        [bin][K]; None where weights don't add up to more than zero.
    """
    values = cells.fractions(cells.signed)
    if cells.equal:
        counts = cells.counts.astype(np.float64)
        passed = np.stack([counts[:, one].sum(axis=1) for one in cells.patterns.T], axis=1)
        low, high = clopper_pearson(passed, counts.sum(axis=1)[:, None])
    else:
        replicas = cells.fractions(cells.resampled(rng))
        low, high = spread(replicas)
    number = effective_numbers(cells)
    return [
        [
            _measured(*ends, number=number[row], counted=cells.equal)
            for ends in zip(
                values[row].tolist(), low[row].tolist(), high[row].tolist(), strict=True
            )
        ]
        for row in range(len(values))
    ]


def effective_numbers(cells: BinnedCounts) -> Floats:
    """Return (sum w)^2 / sum w^2 of each bin, (bin,); 0 where it is empty."""
    squares = cells.squares.sum(axis=(0, 2))
    total = cells.signed.sum(axis=1)
    return np.asarray(np.divide(total**2, squares, where=squares > 0, out=np.zeros_like(squares)))


def spread(replicas: Floats) -> tuple[Floats, Floats]:
    """Return the 68 % interval over the first axis; NaN replicas (nothing there) are left out."""
    kept = np.isfinite(replicas).any(axis=0)
    filled = np.where(kept, replicas, 0.0)
    low, high = np.nanpercentile(filled, _ENDS, axis=0)
    return np.where(kept, low, np.nan), np.where(kept, high, np.nan)


def _measured(
    value: float, low: float, high: float, *, number: float, counted: bool
) -> Estimate | None:
    if not np.isfinite(value):
        return None
    if not counted:
        low = min(low, wilson(1.0, 0.0, number)[0])
        high = max(high, wilson(0.0, 0.0, number)[1])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def inverted(efficiency: Estimate | None, *, number: float = np.inf) -> Estimate | None:
    """Return the background rejection, 1 / efficiency, of a background efficiency.

    Where nothing passes, or less than one of the effective number of candidates (which can't be
    told from nothing), it is a lower limit: the inverse of the interval's upper end.

    Args:
        efficiency: None stays None.
        number: effective number of candidates, (sum w)^2 / sum w^2.
    """
    if efficiency is None:
        return None
    if efficiency.value <= 0.0 or efficiency.value < 1.0 / (number + 1.0):
        limit = 1.0 / max(efficiency.high, 1e-12)
        return Estimate(limit, limit, limit, limit=True)
    high = 1.0 / max(efficiency.low, 1e-3 * efficiency.value)
    return Estimate(1.0 / efficiency.value, 1.0 / efficiency.high, high)


def rejections(cells: BinnedCounts, *, rng: np.random.Generator) -> list[list[Estimate | None]]:
    """Return one over each of `efficiencies`, [bin][K]; see `inverted`."""
    return [
        [inverted(one, number=number) for one in row]
        for row, number in zip(efficiencies(cells, rng=rng), effective_numbers(cells), strict=True)
    ]


def columns_of(measured: Sequence[Estimate | None]) -> dict[str, list[float | None] | list[bool]]:
    """Return measured numbers as columns for JSON: `value`, `low`, `high`, `limit`."""
    triples = [one.triple if one else [None] * 3 for one in measured]
    rounded = [[None if v is None else float(f"{v:.6g}") for v in triple] for triple in triples]
    value, low, high = ([triple[i] for triple in rounded] for i in range(3))
    limit = [bool(one and one.limit) for one in measured]
    return {"value": value, "low": low, "high": high, "limit": limit}
