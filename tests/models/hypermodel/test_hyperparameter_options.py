import pytest
from hypothesis import given
from hypothesis import strategies as st

from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange
from tauopt.models.hypermodel.hyperparameter_options import (
    ExplicitSteps,
    MirroredLog,
    describe_options,
    matching_option,
    narrow,
    nearest_option,
    only_option,
)

EVEN = IntRange(32, 512, step=32)
POWERS = ExplicitSteps((2, 4, 8, 16, 32))
DECADES = ExplicitSteps((1e-4, 1e-3, 1e-2))
REVERSED = MirroredLog(FloatRange(0.01, 0.9, log=True), 0.91)
WHOLE_REVERSED = MirroredLog(IntRange(2, 32, log=True), 34)
CELLS = ChoiceRange(("lstm", "gru"))


def test_a_value_gets_the_type_that_the_model_declares():
    assert repr(matching_option(FloatRange(0, 4), 1)) == "1.0"
    assert repr(matching_option(EVEN, 64.0)) == "64"
    assert repr(matching_option(ChoiceRange((0.5, 1.0)), 1)) == "1.0"
    assert repr(matching_option(POWERS, 8.0)) == "8"
    assert repr(matching_option(DECADES, 0.001)) == "0.001"
    assert repr(matching_option(WHOLE_REVERSED, 32)) == "32"
    assert matching_option(REVERSED, 0.9) == 0.9


NONE_OF = [
    (EVEN, 33), (EVEN, 544), (EVEN, True), (EVEN, "64"), (EVEN, 64.5), (POWERS, 3), (POWERS, 64),
    (REVERSED, 0.95), (WHOLE_REVERSED, 2.5), (CELLS, "rnn"), (ChoiceRange((1, 2)), True),
    (FloatRange(0, 1), float("nan")),
]  # fmt: skip


@pytest.mark.parametrize(("options", "value"), NONE_OF, ids=str)
def test_a_value_outside_the_options_is_refused_and_the_options_listed(options, value):
    with pytest.raises(ValueError, match="the model declares") as caught:
        matching_option(options, value)
    assert describe_options(options) in str(caught.value)


def test_a_range_narrows_and_keeps_the_models_log_and_step():
    assert narrow(EVEN, IntRange(64, 256)) == IntRange(64, 256, step=32)
    assert narrow(EVEN, IntRange(64, 256, step=64)) == IntRange(64, 256, step=64)
    assert narrow(IntRange(4, 64, log=True), IntRange(8, 16)) == IntRange(8, 16, log=True)
    assert narrow(FloatRange(0, 1), FloatRange(0.1, 0.5, log=True)) == FloatRange(0.1, 0.5, True)
    assert narrow(POWERS, IntRange(4, 16)) == ExplicitSteps((4, 8, 16))
    assert narrow(DECADES, FloatRange(1e-4, 1e-3)) == ExplicitSteps((1e-4, 1e-3))


def test_a_choice_narrows_options_of_every_kind():
    assert narrow(CELLS, ChoiceRange(("gru",))) == ChoiceRange(("gru",))
    assert narrow(EVEN, ChoiceRange((64, 128))) == ChoiceRange((64, 128))
    assert narrow(REVERSED, ChoiceRange((0.5, 0.25))) == ChoiceRange((0.5, 0.25))
    with pytest.raises(ValueError, match="got 65"):
        narrow(EVEN, ChoiceRange((64, 65)))


TOO_WIDE = [
    (EVEN, IntRange(32, 1024)), (EVEN, IntRange(48, 64)), (EVEN, FloatRange(32, 64)),
    (CELLS, IntRange(1, 2)), (POWERS, IntRange(3, 8)), (DECADES, IntRange(1, 2)),
    (REVERSED, FloatRange(0.1, 1.0)), (REVERSED, FloatRange(0.1, 0.2, log=True)),
    (EVEN, IntRange(64, 128, log=True)), (EVEN, IntRange(32, 112, step=80)),
]  # fmt: skip


@pytest.mark.parametrize(("options", "range_"), TOO_WIDE, ids=str)
def test_a_range_that_reaches_beyond_the_options_is_refused(options, range_):
    with pytest.raises(ValueError, match="the model"):
        narrow(options, range_)


@given(st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_a_narrowed_mirror_has_its_ends_where_the_range_has_them(one, other):
    low, high = sorted((one, other))
    narrowed = narrow(REVERSED, FloatRange(low, high))
    assert narrowed.low == pytest.approx(low)
    assert narrowed.high == pytest.approx(high)
    assert narrowed.mirror(narrowed.inner.low) == pytest.approx(high)


@given(st.integers(2, 32))
def test_mirroring_twice_gives_a_whole_number_back(number):
    assert WHOLE_REVERSED.mirror(WHOLE_REVERSED.mirror(number)) == number


def test_the_nearest_option_stands_in_for_a_default_outside():
    assert nearest_option(EVEN, 100) == 96
    assert nearest_option(ExplicitSteps((4, 8, 16)), 2) == 4
    assert nearest_option(narrow(REVERSED, FloatRange(0.5, 0.9)), 0.1) == pytest.approx(0.5)
    assert nearest_option(WHOLE_REVERSED, 7) == 7
    assert nearest_option(ChoiceRange(("gru",)), "lstm") == "gru"


def test_a_single_option_is_the_answer():
    assert only_option(ChoiceRange((False,))) is False
    assert only_option(IntRange(3, 3)) == 3
    assert only_option(ExplicitSteps((2,))) == 2
    assert only_option(EVEN) is None
    assert only_option(REVERSED) is None
