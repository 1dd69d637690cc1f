from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.config.settings.inputs import FittedFeature, Transform
from tauopt.models.preprocessing import Preprocess

FINITE = st.floats(-1e6, 1e6, width=32)


def reference(x: float, feature: FittedFeature) -> float:
    """Preprocess one number, step by step and in float64."""
    t = feature.transform
    x = x / t.divide
    if t.abs:
        x = abs(x)
    if t.min is not None:
        x = max(x, t.min)
    if t.max is not None:
        x = min(x, t.max)
    x = x + t.offset
    if t.log10:
        x = math.log10(max(x, 1e-37))
    if feature.clip is not None:
        x = sorted([feature.clip[0], x, feature.clip[1]])[1]
    return (x - feature.shift) / feature.spread


@st.composite
def features(draw):
    log10 = draw(st.booleans())
    low = draw(st.one_of(st.none(), st.floats(0.001, 1)))
    clip = draw(st.one_of(st.none(), st.tuples(st.floats(-3, 0), st.floats(0.5, 50))))
    return FittedFeature(
        name="x",
        transform=Transform(
            divide=draw(st.sampled_from([1.0, 0.4, 1000.0])),
            abs=draw(st.booleans()),
            min=low,
            max=draw(st.one_of(st.none(), st.floats(2, 100))),
            offset=draw(st.sampled_from([0.0, 0.1, 1.0])),
            log10=log10,
        ),
        clip=clip,
        shift=draw(st.floats(-5, 5)),
        spread=draw(st.floats(0.1, 10)),
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(features(), FINITE), min_size=1, max_size=4))
def test_agrees_with_a_slow_reference(pairs):
    layer = Preprocess([feature for feature, _ in pairs])
    x = np.array([[value for _, value in pairs]], np.float32)
    expected = [reference(float(v), f) for (f, _), v in zip(pairs, x[0], strict=True)]
    np.testing.assert_allclose(np.asarray(layer(x))[0], expected, rtol=2e-4, atol=2e-4)


def test_a_small_impact_parameter_keeps_its_logarithm_in_float32():
    feature = FittedFeature(name="d0", transform=Transform(abs=True, offset=1e-6, log10=True))
    got = Preprocess([feature])(np.array([[0.0], [-1e-6], [1e-3]], np.float32))
    np.testing.assert_allclose(np.asarray(got)[:, 0], [-6, -5.69897, -2.999566], rtol=1e-5)


def test_masked_slots_become_zero_though_the_transform_of_zero_is_not():
    feature = FittedFeature(name="x", transform=Transform(offset=1.0), shift=3.0)
    mask = np.array([[True, False]])
    got = Preprocess([feature])(np.zeros((1, 2, 1), np.float32), mask)
    np.testing.assert_array_equal(got, [[[-2.0], [0.0]]])


def test_the_configuration_restores_the_features():
    feature = FittedFeature(
        name="x", transform=Transform(log10=True, max=7.0), clip=(0.1, 0.7), spread=1 / 3
    )
    again = Preprocess.from_config(Preprocess([feature]).get_config())
    assert again.features == (feature,)


def test_constants_are_no_parameters():
    layer = Preprocess([FittedFeature(name="x", transform=Transform())])
    layer(np.zeros((1, 1), np.float32))
    assert layer.count_params() == 0


@pytest.mark.parametrize("wrong", [[], [FittedFeature(name="x", transform=Transform(), spread=0)]])
def test_no_features_and_no_spread_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        Preprocess(wrong)
