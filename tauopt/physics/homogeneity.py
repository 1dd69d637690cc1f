"""Are some parts of a sample random draws from the whole? Tests of each part against the rest.

The null hypothesis is the exact one of a shuffle: a part of n out of N candidates is a simple
random sample without replacement. Numbers are compared by the Kolmogorov-Smirnov distance of the
weighted distribution functions of part (F_n) and rest (F_r) at the edges of fixed bins, which can
only shorten the distance, so p-values are conservative where values are discrete.

Without weights sqrt(n (N - n) / N) max |F_n - F_r| follows Kolmogorov's distribution. With
weights n (N - n) / N shrinks by Kish's (sum w)^2 / (N sum w^2) (L. Kish, "Survey Sampling", 1965;
J. F. Monahan, "Numerical Methods of Statistics", 2nd ed., 2011, sec. 12, does so for this test).
That is right for weights that don't depend on the variable. In general the difference at x has
the variance of the bridge sum_i w_i^2 (1[x_i <= x] - F(x))^2 / sum_i w_i^2, with
V(x) = sum_{x_i <= x} w_i^2 / sum w^2 it is V (1 - 2 F) + F^2; its largest value (1/4 where weights
don't depend on x) sets how the distribution of a Gaussian process's maximum falls (Borell;
Tsirelson, Ibragimov and Sudakov), so the distance is scaled by it. The whole sample's weights
enter, not the part's: a part that lacks the few largest weights would think itself precise.

Categories are compared by the likelihood-ratio chi-square G = 2 sum O ln(O / E) (S. S. Wilks,
1938), whose tail for rare categories is nearer to the truth than Pearson's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, kolmogorov, xlogy

Floats = NDArray[np.float64]

BINS = 128
"""Bins of a variable at most: the distance is short by less than 1 / BINS."""
FEWEST_WEIGHTS = 100.0
"""Candidates that must share a part's variance; fewer are no Gaussian process."""
FEWEST_EXPECTED = 25.0
"""Expected candidates of a category in a part; rarer ones are taken together. With the customary
5 a table of many categories raises false alarms twice as often as it says."""

_ENOUGH = 4000
"""Values that set the bins of a variable."""


@dataclass(frozen=True)
class QuantileGrid:
    """Bins of about equally many values, found in constant time for each value.

    The leading 16 bits of a float32, taken as a whole number, are in the order of the values.
    They are counted from the median, so that bins are narrow there at any scale.
    """

    center: float
    lookup: NDArray[np.uint8]
    """(65536) bin of each leading half."""

    def bins_of(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return the bin of each value; NaN is below or above all numbers."""
        return self.lookup[_leading(values, self.center)]


def grid_of(values: NDArray[np.generic]) -> QuantileGrid:
    """Choose bins by the quantiles of some values, at least one; a few thousand are used."""
    values = values[:: max(1, len(values) // _ENOUGH)]
    finite = values[np.isfinite(values)]
    middle = len(finite) // 2
    center = float(np.partition(finite, middle)[middle]) if len(finite) else 0.0
    keys = np.sort(_leading(values, center))
    edges = np.unique(keys[(np.arange(1, BINS) * len(keys)) // BINS])
    lookup = np.searchsorted(edges, np.arange(2**16), side="right").astype(np.uint8)
    return QuantileGrid(center, lookup)


def _leading(values: NDArray[np.generic], center: float) -> NDArray[np.uint16]:
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = np.asarray(values - np.asarray(center, values.dtype), dtype=np.float32)
        shifted = shifted + np.float32(0)  # -0.0 becomes 0.0, whose bits are others
    bits = shifted.view(np.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative floats count backwards
    return ((bits >> 16) + 2**15).astype(np.uint16)


@dataclass(frozen=True)
class HomogeneityTest:
    """What a test found, by part."""

    statistic: Floats
    p: Floats
    """NaN where nothing can be said."""


def kolmogorov_smirnov(counts: Floats) -> HomogeneityTest:
    """Compare each part's distribution with that of the rest, every candidate counting one.

    Args:
        counts: (part, bin) candidates.
    """
    sizes = counts.sum(axis=1)
    return _compare(counts, counts.sum(axis=0), sizes, np.ones(len(counts), np.bool_))


def weighted_kolmogorov_smirnov(
    sums: Floats, squares: Floats, *, sizes: Floats, fourth: float
) -> HomogeneityTest:
    """Compare each part's weighted distribution with that of the rest.

    Args:
        sums: (part, bin) sums of weights.
        squares: (bin) sums of squared weights over all parts.
        sizes: (part) candidates.
        fourth: sum of the weights' fourth powers over all parts.
    Returns:
        distances and p-values, NaN where few candidates hold most of the squared weights or a
        part's sum of weights is not positive.
    """
    total = sizes.sum()
    shared = squares.sum() ** 2 / fourth if fourth > 0 else 0.0
    enough = sizes * (total - sizes) / total**2 * shared >= FEWEST_WEIGHTS
    return _compare(sums, squares, sizes, enough)


def _compare(
    sums: Floats, squares: Floats, sizes: Floats, enough: NDArray[np.bool_]
) -> HomogeneityTest:
    whole, own = sums.sum(), sums.sum(axis=1)
    total = sizes.sum()
    usable = enough & (own > 0) & (own < whole) & (sizes < total)
    statistic, p = np.full(len(sums), np.nan), np.full(len(sums), np.nan)
    if not usable.any():
        return HomogeneityTest(statistic, p)
    running = np.cumsum(sums[usable], axis=1)
    pooled = np.cumsum(sums.sum(axis=0))
    part = running / own[usable, None]
    rest = (pooled - running) / (whole - own[usable])[:, None]
    statistic[usable] = np.abs(part - rest).max(axis=1)
    f, v = pooled / whole, np.cumsum(squares) / squares.sum()
    variance = float((v * (1 - 2 * f) + f**2).max())
    effective = sizes * (total - sizes) / total * whole**2 / (total * squares.sum())
    if variance > 0:
        p[usable] = kolmogorov(statistic[usable] * np.sqrt(effective[usable] / (4 * variance)))
    return HomogeneityTest(statistic, p)


def chi_square(counts: Floats) -> HomogeneityTest:
    """Compare each part's shares of categories with those of the rest.

    Args:
        counts: (part, category) candidates.
    Returns:
        likelihood-ratio chi-squares and p-values; NaN where one category is left after the rare
        ones were taken together.
    """
    found = [_g(row, counts.sum(axis=0) - row) for row in counts]
    return HomogeneityTest(np.array([g for g, _ in found]), np.array([p for _, p in found]))


def _g(part: Floats, rest: Floats) -> tuple[float, float]:
    pooled = part + rest
    smaller = min(part.sum(), rest.sum())
    rare = pooled * (smaller / pooled.sum()) < FEWEST_EXPECTED
    table = np.array([[*row[~rare], row[rare].sum()] for row in (part, rest)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not np.all(table.sum(axis=1)):
        return np.nan, np.nan
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    g = max(0.0, 2 * float(xlogy(table, table / expected).sum()))
    return g, float(gammaincc((table.shape[1] - 1) / 2, g / 2))


def holm(p: Floats) -> Floats:
    """Adjust p-values for their number, so that the family-wise error rate holds.

    S. Holm, "A simple sequentially rejective multiple test procedure" (1979). NaN stays, and
    counts as no test.
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]  # NaN sorts last
    scaled = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted
