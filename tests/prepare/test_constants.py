"""Streaming constants against numpy, whatever the blocks; constant and empty features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tauopt.config.inputs import Transform
from tauopt.physics.expressions import parse
from tauopt.prepare.constants import Constants, Moments, transformed
from tauopt.prepare.plan import FeaturePlan


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
        there = values[:, column][~np.isnan(values[:, column])].astype(float)
        assert moments.count[column] == len(there)
        if len(there):
            assert moments.mean[column] == pytest.approx(there.mean(), rel=1e-9, abs=1e-6)
            assert moments.deviation[column] == pytest.approx(there.std(), rel=1e-6, abs=1e-4)
            assert moments.min[column] == there.min()
            assert moments.max[column] == there.max()


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
    constants.update(np.asarray(values, dtype=np.float32)[:, None])
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
def test_constant_feature_gets_spread_one_and_a_warning(scale, caplog):
    feature = _fit([3.0, 3.0], scale=scale)
    assert (feature.shift, feature.spread) == (3.0, 1.0)
    assert "g.x is constant" in caplog.text


def test_group_without_objects_keeps_neutral_constants():
    feature = _fit([], scale="standard")
    assert (feature.shift, feature.spread) == (0.0, 1.0)


def test_transform_goes_in_the_documented_order():
    transform = Transform(divide=2, abs=True, min=1, max=50, offset=50, log10=True)
    values = np.array([-1.0, -20.0, 100.0, 1000.0])
    np.testing.assert_allclose(transformed(values, transform), np.log10([51, 60, 100, 100]))
