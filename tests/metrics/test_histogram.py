"""Bins and fractions against loops over single values; nothing is lost beyond the range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.metrics.histogram import (
    BINS,
    LEAST_BINS,
    WeightedValues,
    binning,
    correlation,
    count_text,
    fractions,
)


def values(numbers, weights=None):
    numbers = np.asarray(numbers, np.float32)
    return WeightedValues(
        numbers, np.ones(len(numbers)) if weights is None else np.asarray(weights)
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(0.1, 2.0)), min_size=1, max_size=60
    ),
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=0, max_size=60),
)
def test_fractions_agree_with_a_slow_reference_and_add_up_to_one(pairs, others):
    sample = values([x for x, _ in pairs], [w for _, w in pairs])
    bins = binning([sample, values(others)])
    histogram = fractions(sample, bins)
    assert np.all(np.diff(bins.edges) > 0)
    assert histogram.values.sum() == pytest.approx(1.0)
    assert len(histogram.values) == len(bins.edges) - 1
    sums, squares = np.zeros(len(histogram.values)), np.zeros(len(histogram.values))
    for x, w in zip(sample.values, sample.weights, strict=True):
        place = sum(float(x) >= edge for edge in bins.inner)
        sums[place] += w
        squares[place] += w * w
    np.testing.assert_allclose(histogram.values, sums / sums.sum())
    np.testing.assert_allclose(histogram.errors, np.sqrt(squares) / sums.sum())


def test_under_and_overflow_hold_the_values_beyond_the_range():
    numbers = np.concatenate([np.linspace(0, 1, 10_000), [-50.0] * 20, [70.0] * 30])
    histogram = fractions(values(numbers), bins := binning([values(numbers)]))
    assert (numbers < bins.inner[0]).mean() == pytest.approx(histogram.values[0])
    assert (numbers >= bins.inner[-1]).mean() == pytest.approx(histogram.values[-1], abs=2e-4)
    assert histogram.values[0] > 0
    assert histogram.values[-1] > 0


def test_counts_get_a_bin_each_and_wide_ranges_equal_ratios():
    rng = np.random.default_rng(1)
    counts = binning([values(rng.poisson(3, 5000))])
    assert not counts.log
    np.testing.assert_allclose(counts.inner % 1, 0.5)
    scaled = binning([values(np.float32(rng.poisson(3, 5000)) / 17)])
    assert len(scaled.inner) == len(counts.inner)
    wide = binning([values(10 ** rng.uniform(2, 6, 5000))])
    assert wide.log
    assert len(wide.inner) == BINS + 1
    few = binning([values(rng.normal(size=30)), values(rng.normal(size=9000))])
    assert len(few.inner) == LEAST_BINS + 1


def test_a_constant_or_an_absent_feature_still_has_bins():
    for numbers in ([3.0] * 5, [0.0], []):
        bins = binning([values(numbers)])
        assert np.all(np.diff(bins.edges) > 0)
        assert fractions(values(numbers), bins).empty == (not numbers)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_correlation_agrees_with_a_slow_reference(rows, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(rows, 3)), rng.uniform(0.1, 2.0, rows)
    x[:, 2] = 4.0
    matrix = correlation(x, w)
    mean = [sum(w * x[:, i]) / sum(w) for i in range(2)]
    cov = [[sum(w * (x[:, i] - mean[i]) * (x[:, j] - mean[j])) for j in (0, 1)] for i in (0, 1)]
    assert matrix[0, 1] == pytest.approx(cov[0][1] / np.sqrt(cov[0][0] * cov[1][1]), abs=1e-9)
    assert matrix[0, 0] == pytest.approx(1.0)
    assert np.isnan(matrix[2]).all()


def test_correlation_without_weight_is_unknown():
    assert np.isnan(correlation(np.ones((3, 2)), np.zeros(3))).all()


def test_the_text_of_counts_has_a_number_for_each_class():
    assert count_text({"jet": values([1.0] * 1200), "1p0n": values([])}) == (
        "N = 1,200 (jet 1,200, 1p0n 0)"
    )
