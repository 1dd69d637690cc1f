"""Homogeneity tests: is each part of a sample a random draw from the whole?

Each part is compared with the rest. The null hypothesis is a shuffle: a part of n out of N
candidates is a simple random sample without replacement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov, xlogy

from tauopt.physics.p_values import chi_square_tail

Floats = NDArray[np.float64]

BINS = 128
"""Bins of a variable at most: the binned distance is too short by less than 1 / BINS."""
FEWEST_WEIGHTS = 100.0
"""Effective number of candidates that must make up a part's variance: the distance of fewer is no
Gaussian process."""
FEWEST_EXPECTED = 25.0
"""Expected candidates of a category in a part; rarer categories are merged. With the customary 5 a
table of many categories raises twice as many false alarms as stated."""

_GRID_VALUES = 4000
"""Values from which the bins of a variable are chosen, about."""


@dataclass(frozen=True)
class QuantileGrid:
    """Bins of about equally many values, looked up in constant time for each value."""

    center: float
    """Median of the values."""
    lookup: NDArray[np.uint8]
    """(65536) bin for each value of the leading 16 bits."""

    def bins_of(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return the bin of each value; NaN is below or above all numbers."""
        return self.lookup[_leading(values, self.center)]


def grid_of(values: NDArray[np.generic]) -> QuantileGrid:
    """Choose bins by the quantiles of at least one value; a few thousand values are used."""
    values = values[:: max(1, len(values) // _GRID_VALUES)]
    finite = values[np.isfinite(values)]
    middle = len(finite) // 2
    center = float(np.partition(finite, middle)[middle]) if len(finite) else 0.0
    keys = np.sort(_leading(values, center))
    edges = np.unique(keys[(np.arange(1, BINS) * len(keys)) // BINS])
    lookup = np.searchsorted(edges, np.arange(2**16), side="right").astype(np.uint8)
    return QuantileGrid(center, lookup)


def _leading(values: NDArray[np.generic], center: float) -> NDArray[np.uint16]:
    """Return the leading 16 bits of values - center as float32, in the order of the values.

    Bins are narrow around the center at any scale, since floats are dense around 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = np.asarray(values - np.asarray(center, values.dtype), dtype=np.float32)
        shifted = shifted + np.float32(0)  # turns -0.0 into 0.0, which has other bits
    bits = shifted.view(np.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # the bits of negative floats descend
    return ((bits >> 16) + 2**15).astype(np.uint16)


@dataclass(frozen=True)
class HomogeneityTest:
    """Result of a homogeneity test for each part."""

    statistic: Floats
    """(part,)."""
    p: Floats
    """(part,) p-values; NaN if the test is not applicable."""


def kolmogorov_smirnov(counts: Floats) -> HomogeneityTest:
    """Compare each part with the rest by a Kolmogorov-Smirnov test without weights.

    sqrt(n (N - n) / N) max |F_n - F_r| follows Kolmogorov's distribution, where F_n and F_r are
    the distribution functions of part and rest. They are compared at the edges of fixed bins,
    which can only shorten the distance: p-values are conservative if values are discrete.

    Args:
        counts: (part, bin) candidates.
    """
    sizes = counts.sum(axis=1)
    return _compare(counts, counts.sum(axis=0), sizes, np.ones(len(counts), np.bool_))


def weighted_kolmogorov_smirnov(
    sums: Floats, squares: Floats, *, sizes: Floats, fourth: float
) -> HomogeneityTest:
    """Compare each part with the rest by a weighted Kolmogorov-Smirnov test.

    As `kolmogorov_smirnov`, but n (N - n) / N is multiplied by Kish's factor
    (sum w)^2 / (N sum w^2) (L. Kish, "Survey Sampling", 1965; J. F. Monahan, "Numerical Methods of
    Statistics", 2nd ed., 2011, sec. 12, does so for this test). That is right for weights that do
    not depend on the variable. In general the difference at x has the variance of the bridge
    sum_i w_i^2 (1[x_i <= x] - F(x))^2 / sum_i w_i^2 = V (1 - 2 F) + F^2, with
    V(x) = sum_{x_i <= x} w_i^2 / sum w^2. Its largest value (1/4 if weights do not depend on x)
    determines the tail of a Gaussian process's maximum (Borell; Tsirelson, Ibragimov and Sudakov),
    so the distance is scaled by it. The weights of the whole sample enter, not the part's: a part
    that lacks the few largest weights would seem too precise.

    Args:
        sums: (part, bin) sums of weights.
        squares: (bin) sums of squared weights over all parts.
        sizes: (part) candidates.
        fourth: sum of the weights' fourth powers over all parts.
    Returns:
        distances and p-values; NaN if few candidates have most of the squared weights or a
        part's sum of weights is not positive.
    """
    total = sizes.sum()
    # effective number of candidates that make up the sum of squared weights
    effective = squares.sum() ** 2 / fourth if fourth > 0 else 0.0
    enough = sizes * (total - sizes) / total**2 * effective >= FEWEST_WEIGHTS
    return _compare(sums, squares, sizes, enough)


def _compare(
    sums: Floats, squares: Floats, sizes: Floats, enough: NDArray[np.bool_]
) -> HomogeneityTest:
    """Compute distances and p-values; the arguments are those of the weighted test."""
    whole, part_sums = sums.sum(), sums.sum(axis=1)
    total = sizes.sum()
    usable = enough & (part_sums > 0) & (part_sums < whole) & (sizes < total)
    statistic, p = np.full(len(sums), np.nan), np.full(len(sums), np.nan)
    if not usable.any():
        return HomogeneityTest(statistic, p)
    running = np.cumsum(sums[usable], axis=1)
    pooled = np.cumsum(sums.sum(axis=0))
    part = running / part_sums[usable, None]
    rest = (pooled - running) / (whole - part_sums[usable])[:, None]
    statistic[usable] = np.abs(part - rest).max(axis=1)
    f, v = pooled / whole, np.cumsum(squares) / squares.sum()
    variance = float((v * (1 - 2 * f) + f**2).max())
    effective = sizes * (total - sizes) / total * whole**2 / (total * squares.sum())
    if variance > 0:
        p[usable] = kolmogorov(statistic[usable] * np.sqrt(effective[usable] / (4 * variance)))
    return HomogeneityTest(statistic, p)


def chi_square(counts: Floats) -> HomogeneityTest:
    """Compare each part with the rest by a likelihood-ratio chi-square test of categories.

    G = 2 sum O ln(O / E) (S. S. Wilks, 1938) has a more accurate tail for rare categories than
    Pearson's chi-square.

    Args:
        counts: (part, category) candidates.
    Returns:
        chi-squares and p-values; NaN if one category is left after rare ones were merged.
    """
    results = [_g_test(row, counts.sum(axis=0) - row) for row in counts]
    return HomogeneityTest(np.array([g for g, _ in results]), np.array([p for _, p in results]))


def _g_test(part: Floats, rest: Floats) -> tuple[float, float]:
    pooled = part + rest
    smaller = min(part.sum(), rest.sum())
    rare = pooled * (smaller / pooled.sum()) < FEWEST_EXPECTED
    table = np.array([[*row[~rare], row[rare].sum()] for row in (part, rest)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not np.all(table.sum(axis=1)):
        return np.nan, np.nan
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    g = max(0.0, 2 * float(xlogy(table, table / expected).sum()))
    return g, chi_square_tail(g, table.shape[1] - 1)


def holm(p: Floats) -> Floats:
    """Adjust p-values by Holm's method, which controls the family-wise error rate.

    S. Holm, "A simple sequentially rejective multiple test procedure" (1979). NaN stays NaN, and
    does not count as a test.
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]  # NaN sorts last
    scaled = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted
