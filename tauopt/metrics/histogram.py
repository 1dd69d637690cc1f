"""Weighted histograms of several classes in the same bins, with under- and overflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS, LEAST_BINS = 40, 10
_TAIL = 0.005
"""Fraction of the values beyond the bins at either end."""
_WIDE = 30.0
"""Ratio of the last to the first edge from which on bins are logarithmic."""


@dataclass(frozen=True)
class WeightedValues:
    """Values of one class with their weights, both (n)."""

    values: NDArray[Any]
    weights: NDArray[Any]


@dataclass(frozen=True)
class Binning:
    """Bins of a figure: the first and the last are the under- and the overflow."""

    edges: NDArray[np.float64]
    """All edges; the under- and the overflow bin are as wide as their neighbours."""
    log: bool = False
    """Whether bins are logarithmic (of equal ratio), for a logarithmic axis."""

    @property
    def inner(self) -> NDArray[np.float64]:
        """The edges without those of under- and overflow."""
        return self.edges[1:-1]


@dataclass(frozen=True)
class BinFractions:
    """The fraction of a class's weight in each bin, with 68 % errors, both (bin)."""

    values: NDArray[np.float64]
    errors: NDArray[np.float64]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.values.any()


def binning(classes: Iterable[WeightedValues]) -> Binning:
    """Choose the same bins for several classes.

    Few distinct values (counts, codes) get a bin each, a wide range of positive values gets
    logarithmic bins, others get bins of equal width. All but 0.5 % of the values of all classes at
    either end are inside. There are fewer bins where a class has few values, so that each class
    shows a shape.
    """
    parts = [np.asarray(part.values, np.float64) for part in classes]
    values = np.concatenate([*parts, np.empty(0)])
    if not len(values):
        return with_ends(np.linspace(0.0, 1.0, BINS + 1))
    fewest = min(len(part) for part in parts if len(part))
    bins = int(np.clip(np.sqrt(fewest), LEAST_BINS, BINS))
    low, high = (float(edge) for edge in np.quantile(values, (_TAIL, 1.0 - _TAIL)))
    distinct = np.unique(values[(values >= low) & (values <= high)])
    if 1 < len(distinct) <= min(BINS, len(values) // 5):
        middles = (distinct[1:] + distinct[:-1]) / 2
        ends = 2 * distinct[0] - middles[0], 2 * distinct[-1] - middles[-1]
        return with_ends([ends[0], *middles, ends[1]])
    if low > 0 and high > _WIDE * low:
        return with_ends(np.geomspace(low, high, bins + 1), log=True)
    # All values are the same: one unit around them.
    if not high - low > 1e-6 * max(abs(low), abs(high)):
        low, high = low - 0.5, low + 0.5
    return with_ends(np.linspace(low, high, bins + 1))


def with_ends(edges: Any, *, log: bool = False) -> Binning:
    """Add an underflow and an overflow bin to bins with these edges, (bin + 1)."""
    inner = np.asarray(edges, np.float64)
    if log:
        ends = inner[0] ** 2 / inner[1], inner[-1] ** 2 / inner[-2]
    else:
        ends = 2 * inner[0] - inner[1], 2 * inner[-1] - inner[-2]
    return Binning(np.concatenate([ends[:1], inner, ends[1:]]), log)


def fractions(sample: WeightedValues, bins: Binning) -> BinFractions:
    """Return the fraction of a class's weight in each bin; fractions add up to one."""
    index = np.searchsorted(bins.inner, np.asarray(sample.values, np.float64), side="right")
    weights = np.asarray(sample.weights, np.float64)
    size = len(bins.inner) + 1
    return fractions_from_sums(
        np.bincount(index, weights, minlength=size), np.bincount(index, weights**2, minlength=size)
    )


def fractions_from_sums(sums: NDArray[Any], squares: NDArray[Any]) -> BinFractions:
    """Return fractions from sums of weights and of squared weights, both (bin)."""
    total = sums.sum()
    if not total > 0:
        return BinFractions(np.zeros(len(sums)), np.zeros(len(sums)))
    return BinFractions(sums / total, np.sqrt(squares) / total)


def correlation(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weighted linear correlation of columns, NaN with a column that is constant.

    Args:
        values: (row, column).
        weights: (row).
    Returns:
        (column, column), within [-1, 1]; all NaN where the weights don't add up to more than 0.
    """
    x, w = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    columns = x.shape[1]
    if not w.sum() > 0:
        return np.full((columns, columns), np.nan)
    centred = x - np.average(x, axis=0, weights=w)
    covariance = (centred * w[:, None]).T @ centred / w.sum()
    variance = np.diag(covariance).copy()
    # Rounding leaves a tiny variance in a constant column.
    variance[variance <= 1e-12 * np.abs(x).max(axis=0, initial=0.0) ** 2] = np.nan
    with np.errstate(invalid="ignore"):
        deviation = np.sqrt(variance)
        return np.asarray(np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0))


def count_text(classes: Mapping[str, WeightedValues]) -> str:
    """Return the numbers of values as text: `N = 1,203 (jet 600, 1p0n 603)`."""
    total = sum(len(sample.values) for sample in classes.values())
    return (
        f"N = {total:,} (" + ", ".join(f"{n} {len(v.values):,}" for n, v in classes.items()) + ")"
    )
