"""Streaming constants against numpy, whatever the blocks; constant and empty features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tauopt.config.settings.inputs import Transform
from tauopt.physics.expressions import parse
from tauopt.prepare.constants import Constants, transformed
from tauopt.prepare.dataset_expressions import FeaturePlan
from tauopt.prepare.running_statistics import Moments, RowSample, sampling_keys


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.just(2)),
        elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan),
    ),
    st.integers(1, 10),
)
def test_moments_agree_with_numpy_whatever_the_blocks(values, step):
    moments = Moments(2)
    for start in range(0, len(values), step):
        moments.update(values[start : start + step])
    for column in range(2):
        present = values[:, column][~np.isnan(values[:, column])].astype(float)
        assert moments.count[column] == len(present)
        if len(present):
            assert moments.mean[column] == pytest.approx(present.mean(), rel=1e-9, abs=1e-6)
            assert moments.deviation[column] == pytest.approx(present.std(), rel=1e-6, abs=1e-4)
            assert moments.min[column] == present.min()
            assert moments.max[column] == present.max()


def test_small_spread_on_a_large_mean_is_not_lost():
    values = 1e8 + np.random.default_rng(1).normal(size=(10_000, 1))
    moments = Moments(1)
    for part in np.array_split(values, 7):
        moments.update(part)
    assert moments.deviation[0] == pytest.approx(values.std(), rel=1e-7)


def _fit(values, **transform):
    name = "x"
    feature = FeaturePlan(name, f"g.{name}", parse(name), Transform(**transform))
    constants = Constants("g", [feature])
    rows = np.asarray(values, dtype=np.float32)[:, None]
    keys = sampling_keys(np.arange(len(rows)), np.zeros(len(rows), int))
    constants.update(rows, keys, np.zeros(len(rows), np.int16))
    return constants.fitted().features[0]


def test_standard_and_minmax_are_of_the_transformed_feature():
    values = [10.0, 100.0, 1000.0]
    standard = _fit(values, log10=True, scale="standard")
    assert (standard.shift, standard.spread) == pytest.approx((2.0, np.sqrt(2 / 3)))
    minmax = _fit(values, divide=10, max=50, scale="minmax")
    assert (minmax.shift, minmax.spread) == pytest.approx((1.0, 49.0))
    none = _fit(values)
    assert (none.shift, none.spread) == (0.0, 1.0)


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_constant_feature_gets_spread_one(scale):
    feature = _fit([3.0, 3.0], scale=scale)
    assert (feature.shift, feature.spread) == (3.0, 1.0)


def test_group_without_objects_keeps_shift_0_and_spread_1():
    feature = _fit([], scale="standard")
    assert (feature.shift, feature.spread) == (0.0, 1.0)


def test_transform_goes_in_the_documented_order():
    transform = Transform(divide=2, abs=True, min=1, max=50, offset=50, log10=True)
    values = np.array([-1.0, -20.0, 100.0, 1000.0])
    np.testing.assert_allclose(transformed(values, transform), np.log10([51, 60, 100, 100]))


def test_robust_constants_ignore_outliers():
    values = np.random.default_rng(3).normal(5.0, 2.0, 20_000)
    values[:100] = 1e6
    robust = _fit(values, scale="robust")
    quartiles = np.quantile(values.astype(np.float32), [0.25, 0.75])
    assert robust.shift == pytest.approx(np.median(values), rel=1e-6)
    assert robust.spread == pytest.approx(np.ptp(quartiles) / 1.349, rel=1e-6)
    assert robust.shift == pytest.approx(5.0, abs=0.05)
    assert robust.spread == pytest.approx(2.0, abs=0.05)
    assert robust.clip is None


def test_a_feature_without_robust_spread_gets_the_standard_one():
    values = [0.0] * 90 + [1.0] * 10
    robust = _fit(values, scale="robust")
    assert (robust.shift, robust.spread) == pytest.approx((0.1, 0.3))


def _slow_quantile(values, q):
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=40),
    st.sampled_from(["none", "standard", "minmax", "robust"]),
    st.sampled_from([(0.0, 1.0), (0.01, 0.99), (0.2, 0.7)]),
)
def test_clip_bounds_and_constants_of_clipped_values_agree_with_a_slow_reference(
    values, scale, quantiles
):
    got = _fit(values, abs=True, offset=1.0, scale=scale, clip_quantiles=quantiles)
    x = [abs(value) + 1.0 for value in values]
    low, high = (_slow_quantile(x, q) for q in quantiles)
    clipped = [min(max(value, low), high) for value in x]
    mean = sum(clipped) / len(clipped)
    deviation = (sum((value - mean) ** 2 for value in clipped) / len(clipped)) ** 0.5
    spread = (_slow_quantile(clipped, 0.75) - _slow_quantile(clipped, 0.25)) / 1.349
    if scale == "robust" and spread > 0:
        expected = (_slow_quantile(clipped, 0.5), spread)
    else:
        expected = {"none": (0.0, 1.0), "minmax": (low, high - low)}.get(scale, (mean, deviation))
    if expected[1] <= 1e-6 * abs(expected[0]):  # constant: the spread is 1
        return
    assert got.clip == pytest.approx((low, high), rel=1e-9)
    assert (got.shift, got.spread) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def _slow_key(event_number, entry):
    wrap, step = (1 << 64) - 1, 0x9E3779B97F4A7C15
    x = (event_number + (entry + 1) * step) & wrap
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & wrap
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & wrap
    return x ^ (x >> 31)


def test_a_sample_holds_the_rows_with_the_smallest_keys_in_any_order():
    rng = np.random.default_rng(4)
    events, entries = rng.integers(0, 10**9, 1000), np.arange(1000)
    keys = sampling_keys(events, entries)
    assert keys.tolist() == [_slow_key(int(v), int(e)) for v, e in zip(events, entries, strict=True)]  # fmt: skip  # noqa: E501
    values = rng.normal(size=(1000, 2)).astype(np.float32)
    expected = values[np.argsort(keys)[:250]]
    for step in (1, 7, 300, 1000):
        sample, order = RowSample(2, most=250), rng.permutation(1000)
        for start in range(0, len(values), step):
            rows = order[start : start + step]
            sample.update(values[rows], keys[rows])
        assert sorted(sample.values[:, 0]) == sorted(expected[:, 0])


def test_objects_of_a_candidate_are_in_a_sample_together_or_not_at_all():
    rng = np.random.default_rng(6)
    owner = np.repeat(np.arange(300), rng.integers(0, 6, 300))
    sample = RowSample(1, most=200)
    sample.update(owner[:, None], sampling_keys(owner, np.zeros_like(owner)))
    kept, counts = np.unique(sample.values, return_counts=True)
    np.testing.assert_array_equal(counts, np.bincount(owner)[kept.astype(int)])
    assert 190 < len(sample.values) <= 200
    firsts = [owner.tolist().index(o) for o in range(300) if o in owner]
    for most in (30, 1000):
        each = RowSample(2)
        each.update(
            np.column_stack((owner, np.arange(len(owner)))), sampling_keys(owner, 0 * owner)
        )
        chosen = sorted(firsts, key=lambda row: sampling_keys(owner, 0 * owner)[row])[:most]
        assert each.one_each(most)[:, 1].tolist() == chosen


def test_a_sample_finds_quantiles_to_the_stated_error():
    rng = np.random.default_rng(5)
    misses = []
    for seed in range(200):
        sample = RowSample(1, most=2000)
        keys = sampling_keys(np.arange(9000), np.full(9000, seed))
        sample.update(np.sort(rng.random((9000, 1)), axis=0), keys)  # sorted, as in a bad file
        for q in (0.01, 0.5):
            misses.append((np.quantile(sample.values, q) - q) / np.sqrt(q * (1 - q) / 2000))
    assert np.std(misses) == pytest.approx(1.0, abs=0.15)
    assert np.mean(misses) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("clip", [(0.9, 0.1), (0.5, 0.5), (-0.1, 0.9), (0.1, 1.1)])
def test_impossible_clip_quantiles_are_refused(clip):
    with pytest.raises(ValueError, match="expected 0 <= low < high <= 1"):
        Transform(clip_quantiles=clip)
