"""Efficiencies and background rejections in bins, from candidates counted by bin and passed cuts.

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
_PERCENTILES = (15.865, 84.135)
"""Ends of a central 68 % interval."""


@dataclass(frozen=True)
class BinnedCounts:
    """Candidates by bin and by which of K cuts they pass.

    Attributes:
        patterns: (pattern, K) bool, the combinations of passed cuts that occur.
        counts: (bin, pattern) candidates.
        sums: (2, bin, pattern) sums of positive weights, and of the absolute negative ones.
        squares: (2, bin, pattern) sums of squared weights, likewise.
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
        passed = np.stack([sums[..., passes].sum(axis=-1) for passes in self.patterns.T], axis=-1)
        return np.where(total > 0, passed / np.where(total > 0, total, 1.0), np.nan)

    def resampled(self, rng: np.random.Generator, replicas: int = REPLICAS) -> Floats:
        """Draw bootstrap replicas of the sums of weights, (replica, bin, pattern)."""
        # A bootstrap takes each candidate a Poisson(1) number of times, so a sum of weights becomes
        # random, with mean sum(w) and variance sum(w^2). A Poisson number scaled to this mean and
        # variance replaces it (Bohm and Zech), positive and negative weights apart: exact for equal
        # weights, and as fast for ten million candidates as for ten thousand.
        scale = np.divide(
            self.squares, self.sums, where=self.sums > 0, out=np.zeros_like(self.sums)
        )
        mean = np.divide(self.sums, scale, where=scale > 0, out=np.zeros_like(self.sums))
        drawn = scale * rng.poisson(mean, (replicas, *mean.shape))
        return np.asarray(drawn[:, 0] - drawn[:, 1])


def count_by_bin(
    passes: Passes, weights: Floats, *, index: NDArray[np.integer] | None = None, bins: int = 1
) -> BinnedCounts:
    """Count candidates by bin and by which cuts they pass.

    Args:
        passes: (N, K) bool, whether each candidate passes each cut.
        weights: (N,) may be negative.
        index: (N,) bin of each candidate, from 0; None puts all into one bin.
        bins: number of bins.
    """
    # The bits of a code are the cuts that a candidate passes.
    powers = 2 ** np.arange(passes.shape[1], dtype=np.int64)
    codes, pattern = np.unique(passes.astype(np.int64) @ powers, return_inverse=True)
    size = max(len(codes), 1)
    cell = pattern + size * (np.zeros(len(weights), np.int64) if index is None else index)

    def sum_by_cell(values: Floats) -> Floats:
        sums = np.bincount(cell, values, minlength=bins * size)
        return np.asarray(sums, np.float64).reshape(bins, size)

    parts = np.maximum(weights, 0.0), np.maximum(-weights, 0.0)
    return BinnedCounts(
        patterns=(codes[:, None] & powers != 0) if len(codes) else np.zeros((1, len(powers)), bool),
        counts=np.bincount(cell, minlength=bins * size).reshape(bins, size),
        sums=np.stack([sum_by_cell(part) for part in parts]),
        squares=np.stack([sum_by_cell(part**2) for part in parts]),
        equal=len(weights) > 0 and bool(weights[0] > 0) and bool((weights == weights[0]).all()),
    )


def binned_efficiencies(
    binned: BinnedCounts, *, rng: np.random.Generator
) -> list[list[Estimate | None]]:
    """Return the fraction that passes each cut in each bin, with its 68 % interval.

    With equal weights it is the Clopper-Pearson interval. With others it goes from the 16th to the
    84th percentile of a bootstrap, and reaches at least as far as Wilson's interval for none (all)
    of the effective number of candidates.

    Args:
        binned: from `count_by_bin`.
        rng: generator for the bootstrap.
    Returns:
        [bin][K]; None where weights don't add up to more than zero.
    """
    values = binned.fractions(binned.signed)
    if binned.equal:
        counts = binned.counts.astype(np.float64)
        passed = np.stack([counts[:, passes].sum(axis=1) for passes in binned.patterns.T], axis=1)
        low, high = clopper_pearson(passed, counts.sum(axis=1)[:, None])
    else:
        low, high = replica_interval(binned.fractions(binned.resampled(rng)))
    numbers = effective_numbers(binned)
    return [
        [
            _estimate(*ends, number=numbers[row], exact=binned.equal)
            for ends in zip(
                values[row].tolist(), low[row].tolist(), high[row].tolist(), strict=True
            )
        ]
        for row in range(len(values))
    ]


def effective_numbers(binned: BinnedCounts) -> Floats:
    """Return the effective number of candidates of each bin, (sum w)^2 / sum w^2; 0 if empty."""
    squares = binned.squares.sum(axis=(0, 2))
    total = binned.signed.sum(axis=1)
    return np.asarray(np.divide(total**2, squares, where=squares > 0, out=np.zeros_like(squares)))


def replica_interval(replicas: Floats) -> tuple[Floats, Floats]:
    """Return the central 68 % interval over the first axis, without the replicas that are NaN.

    Args:
        replicas: (replica, ...); NaN where a replica holds no candidates.
    Returns:
        lower and upper ends, (...); NaN where all replicas are.
    """
    known = np.isfinite(replicas).any(axis=0)
    filled = np.where(known, replicas, 0.0)  # nanpercentile warns where all are NaN
    low, high = np.nanpercentile(filled, _PERCENTILES, axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _estimate(
    value: float, low: float, high: float, *, number: float, exact: bool
) -> Estimate | None:
    if not np.isfinite(value):
        return None
    if not exact:
        # A bootstrap draws only weights that are in the sample: where none (all) pass, its
        # replicas do not scatter.
        low = min(low, wilson(1.0, 0.0, number)[0])
        high = max(high, wilson(0.0, 0.0, number)[1])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def background_rejection(efficiency: Estimate | None, *, number: float = np.inf) -> Estimate | None:
    """Return the background rejection, 1 / efficiency, of a background efficiency.

    Where nothing passes, or less than one of the effective number of candidates (which can't be
    distinguished from nothing), it is a lower limit: the inverse of the interval's upper end.

    Args:
        efficiency: of the background; None stays None.
        number: effective number of candidates, (sum w)^2 / sum w^2.
    """
    if efficiency is None:
        return None
    if efficiency.value <= 0.0 or efficiency.value < 1.0 / (number + 1.0):
        limit = 1.0 / max(efficiency.high, 1e-12)
        return Estimate(limit, limit, limit, limit=True)
    high = 1.0 / max(efficiency.low, 1e-3 * efficiency.value)
    return Estimate(1.0 / efficiency.value, 1.0 / efficiency.high, high)


def binned_rejections(
    binned: BinnedCounts, *, rng: np.random.Generator
) -> list[list[Estimate | None]]:
    """Return one over each of `binned_efficiencies`, [bin][K]; see `background_rejection`."""
    rows = zip(binned_efficiencies(binned, rng=rng), effective_numbers(binned), strict=True)
    return [[background_rejection(cut, number=number) for cut in row] for row, number in rows]


def estimate_columns(
    estimates: Sequence[Estimate | None],
) -> dict[str, list[float | None] | list[bool]]:
    """Return estimates as columns for JSON: `value`, `low`, `high`, `limit`; six digits."""
    triples = [estimate.triple if estimate else [None] * 3 for estimate in estimates]
    rounded = [[None if v is None else float(f"{v:.6g}") for v in triple] for triple in triples]
    value, low, high = ([triple[i] for triple in rounded] for i in range(3))
    limit = [bool(estimate and estimate.limit) for estimate in estimates]
    return {"value": value, "low": low, "high": high, "limit": limit}
