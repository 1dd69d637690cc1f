import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.config.settings.ranges import (
    ChoiceRange,
    FloatRange,
    IntRange,
    contains,
    describe_range,
    is_active,
    moved_inside,
    points,
)

int_ranges = st.builds(
    lambda low, step, steps: IntRange(low, low + step * steps, step=step),
    st.integers(-50, 50), st.integers(1, 9), st.integers(1, 20),
)  # fmt: skip
float_ranges = st.one_of(
    st.builds(
        lambda low, width: FloatRange(low, low + width), st.floats(-10, 10), st.floats(0.1, 5)
    ),
    st.builds(
        lambda low, step, steps: FloatRange(low, low + step * steps, step=step),
        st.floats(-10, 10), st.sampled_from([0.05, 0.1, 0.25, 1.0]), st.integers(1, 20),
    ),
)  # fmt: skip
choices = st.builds(
    ChoiceRange,
    st.lists(
        st.one_of(st.integers(-9, 9), st.sampled_from(["a", "b"]), st.booleans()),
        min_size=1, max_size=5, unique_by=lambda value: (isinstance(value, bool), value),
    ).map(tuple),
)  # fmt: skip
values = st.one_of(
    st.none(), st.booleans(), st.integers(-99, 99), st.floats(-20, 20), st.text(max_size=2)
)


@settings(deadline=None)
@given(st.one_of(int_ranges, float_ranges, choices), values)
def test_a_default_moved_into_a_range_is_in_it_and_nearest(range_, value):
    moved = moved_inside(range_, value)
    assert contains(range_, moved)
    if value is not None and contains(range_, value):
        is_real = isinstance(range_, FloatRange) or isinstance(value, float)
        assert math.isclose(moved, value) if is_real else moved == value
    if isinstance(range_, IntRange) and isinstance(value, (int, float)) and value is not True:
        every = range(range_.low, range_.high + 1, range_.step)
        if not isinstance(value, bool):
            assert abs(moved - value) == pytest.approx(min(abs(n - value) for n in every))


def test_truth_values_are_not_numbers():
    assert not contains(ChoiceRange((1, 2)), True)
    assert not contains(IntRange(0, 1), True)
    assert moved_inside(ChoiceRange((1, True)), True) is True


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.5, 10**400])
def test_an_integer_range_contains_only_whole_numbers(value):
    assert not contains(IntRange(0, 1), value)


def test_a_range_is_active_when_all_its_conditions_hold():
    range_ = FloatRange(0.5, 0.9, when={"a": ("x", "y"), "b": (1,)})
    assert is_active(range_, {"a": "y", "b": 1})
    assert not is_active(range_, {"a": "z", "b": 1})
    assert not is_active(range_, {"a": "x"})
    assert not is_active(range_, {"a": "x", "b": True})


def test_points_are_counted():
    assert points(IntRange(4, 10, step=2)) == 4
    assert points(FloatRange(0.1, 0.3, step=0.1)) == 3
    assert points(FloatRange(0.1, 0.3)) == math.inf
    assert points(ChoiceRange(("a", "b"))) == 2


def test_a_range_is_described_as_written():
    assert describe_range(IntRange(16, 128, log=True)) == "int [16, 128] log"
    assert describe_range(FloatRange(0.0, 1.0, step=0.25)) == "float [0.0, 1.0] step 0.25"
    assert describe_range(ChoiceRange((1, 2), {"a.b": ("x",)})) == "choice [1, 2] when a.b is x"
    assert describe_range(ChoiceRange(("", "tracks.d0"))) == 'choice ["", tracks.d0]'
