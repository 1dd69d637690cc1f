"""Tests of homogeneity: against slow references and scipy, and right at the stated rates."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tauopt.physics import homogeneity
from tauopt.physics.homogeneity import BINS, chi_square, grid_of, holm

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=50), st.lists(numbers, min_size=1, max_size=50))
def test_bins_are_in_the_order_of_the_values(first, others):
    grid = grid_of(np.array(first, dtype=np.float32))
    values = np.sort(np.array([*first, *others, np.inf, -np.inf], dtype=np.float32))
    bins = grid.bins_of(values).astype(int)
    assert np.all(np.diff(bins) >= 0)
    assert bins.max() < BINS


def test_bins_hold_about_equally_many_at_any_scale_and_place():
    rng = np.random.default_rng(1)
    for values in (
        rng.normal(size=12_800),
        rng.exponential(1e-6, 12_800) + 1.77,
        rng.permutation(12_800) + 10**12,
    ):
        counts = np.bincount(grid_of(values).bins_of(values), minlength=BINS)
        assert counts.max() < 300


def test_both_zeros_are_one_value():
    grid = grid_of(np.array([0.0, -1, 1], dtype=np.float32))
    assert len(set(grid.bins_of(np.array([0.0, -0.0], dtype=np.float32)).tolist())) == 1


def test_event_numbers_beyond_float32_are_told_apart():
    values = np.arange(1000, dtype=np.int64) + 2**60
    assert len(np.unique(grid_of(values).bins_of(values))) > 50


def tally(values, weights, parts):
    """Return counts, sums (part, bin), squares (bin), sizes and the sum of fourth powers."""
    bins = grid_of(values).bins_of(values).astype(int)
    part = np.arange(len(values)) * parts // len(values)
    counts, sums = np.zeros((parts, BINS)), np.zeros((parts, BINS))
    np.add.at(counts, (part, bins), 1)
    np.add.at(sums, (part, bins), weights)
    squares = np.bincount(bins, weights**2, minlength=BINS)
    return counts, sums, squares, counts.sum(axis=1), float((weights**4).sum())


def _slow_distance(bins, weights, inside):
    """Distance of two weighted distribution functions, threshold by threshold."""

    def share(threshold, wanted):
        rows = [(b, w) for b, w, i in zip(bins, weights, inside, strict=True) if i == wanted]
        return sum(w for b, w in rows if b <= threshold) / sum(w for _, w in rows)

    largest = 0.0
    for threshold in range(BINS):
        largest = max(largest, abs(share(threshold, True) - share(threshold, False)))
    return largest


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 4))
def test_distances_agree_with_a_slow_reference(seed, parts):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, 60).astype(np.float32)
    weights = rng.uniform(0.5, 1.5, 60)
    counts, sums, squares, sizes, _ = tally(values, weights, parts)
    plain = homogeneity.kolmogorov_smirnov(counts)
    weighted = homogeneity.weighted_kolmogorov_smirnov(sums, squares, sizes=sizes, fourth=1e-9)
    bins = grid_of(values).bins_of(values).tolist()
    for part in range(parts):
        inside = (np.arange(60) * parts // 60 == part).tolist()
        assert plain.statistic[part] == pytest.approx(_slow_distance(bins, [1] * 60, inside))
        assert weighted.statistic[part] == pytest.approx(_slow_distance(bins, weights, inside))


def test_p_of_equal_weights_is_that_of_counts_and_close_to_scipys():
    rng = np.random.default_rng(4)
    values = rng.normal(size=8000)
    values[:2000] += 0.06
    counts, sums, squares, sizes, fourth = tally(values, np.full(8000, 3.0), 4)
    plain = homogeneity.kolmogorov_smirnov(counts)
    weighted = homogeneity.weighted_kolmogorov_smirnov(sums, squares, sizes=sizes, fourth=fourth)
    np.testing.assert_allclose(weighted.statistic, plain.statistic, rtol=1e-9)
    # the largest variance is taken at the bin edges, and need not be a whole quarter there
    np.testing.assert_allclose(weighted.p, plain.p, rtol=0.01)
    for part in range(4):
        inside = np.arange(8000) // 2000 == part
        expected = stats.ks_2samp(values[inside], values[~inside], method="asymp")
        assert plain.statistic[part] == pytest.approx(expected.statistic, abs=1 / BINS)
        assert plain.statistic[part] <= expected.statistic + 1e-12


def test_chi_square_agrees_with_scipys_and_rare_categories_are_taken_together():
    table = np.array([[40.0, 60.0, 1.0, 2.0], [100.0, 100.0, 4.0, 3.0]])
    result = chi_square(table)
    together = np.array([[40.0, 60.0, 3.0], [100.0, 100.0, 7.0]])[:, :2]
    rest = np.array([[3.0], [7.0]])
    expected = stats.chi2_contingency(
        np.hstack([together, rest]), lambda_="log-likelihood", correction=False
    )
    assert result.statistic[0] == pytest.approx(expected.statistic)
    assert result.p[0] == pytest.approx(expected.pvalue)


def test_a_single_category_has_no_p_value():
    assert np.isnan(chi_square(np.array([[10.0, 0], [20.0, 0]])).p).all()


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_agrees_with_a_slow_reference(values):
    adjusted = holm(np.array([*values, np.nan]))
    assert math.isnan(adjusted[-1])
    for p, corrected in zip(values, adjusted, strict=False):
        smaller = [q for q in values if q <= p]
        expected = max(min(1.0, q * (len(values) - sum(r < q for r in values))) for q in smaller)
        assert corrected == pytest.approx(expected)


def _independent(rng, size):
    return rng.normal(size=size), rng.uniform(0.5, 1.5, size)


def _correlated(rng, size):
    values = rng.exponential(size=size)
    return values, np.exp(-values)


def _negative(rng, size):
    values = rng.normal(size=size)
    return values, np.where(rng.random(size) < 0.2, -1.0, 1.0)


def _slices(rng, size):
    """Jets in slices whose weights span four orders of magnitude and fall with the variable."""
    number = rng.integers(0, 5, size)
    return 2.0**number * (1 + rng.exponential(size=size)), 10.0**-number


@pytest.mark.parametrize(
    ("make", "size"),
    [(_independent, 4000), (_correlated, 4000), (_negative, 4000), (_slices, 40_000)],
)
def test_shuffled_parts_fail_no_more_often_than_stated(make, size):
    """False alarms at 20, 5 and 1 % over many seeds, within five binomial errors."""
    rng = np.random.default_rng(11)
    plain, weighted = [], []
    for _ in range(150):
        counts, sums, squares, sizes, fourth = tally(*make(rng, size), 8)
        plain.append(homogeneity.kolmogorov_smirnov(counts).p)
        weighted.append(
            homogeneity.weighted_kolmogorov_smirnov(sums, squares, sizes=sizes, fourth=fourth).p
        )
    for p in (np.concatenate(plain), np.concatenate(weighted)):
        assert not np.isnan(p).any()
        for level in (0.2, 0.05, 0.01):
            error = math.sqrt(level * (1 - level) / len(p))
            assert (p < level).mean() < level + 5 * error
            assert (p < 4 * level).mean() > level - 5 * error  # nor does the test sleep


def test_a_few_dominant_weights_have_no_p_value():
    rng = np.random.default_rng(2)
    weights = np.ones(4000)
    weights[rng.integers(0, 4000, 4)] = 1e6
    _, sums, squares, sizes, fourth = tally(rng.normal(size=4000), weights, 8)
    result = homogeneity.weighted_kolmogorov_smirnov(sums, squares, sizes=sizes, fourth=fourth)
    assert np.isnan(result.p).all()


@pytest.mark.parametrize("shares", [[0.5, 0.3, 0.15, 0.04, 0.0095, 0.0005], [0.025] * 40])
def test_categories_of_shuffled_parts_fail_at_the_stated_rate(shares):
    """Also with forty categories that are just common enough."""
    rng = np.random.default_rng(5)
    p = []
    for _ in range(400):
        values = rng.choice(len(shares), size=8000, p=shares)
        table = np.zeros((8, len(shares)))
        np.add.at(table, (np.arange(8000) // 1000, values), 1)
        p.append(chi_square(table).p)
    p = np.concatenate(p)
    p = p[~np.isnan(p)]
    assert len(p) > 400
    for level in (0.2, 0.05, 0.01):
        error = math.sqrt(level * (1 - level) / len(p))
        assert abs((p < level).mean() - level) < 0.15 * level + 5 * error
