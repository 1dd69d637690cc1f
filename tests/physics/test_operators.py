"""Reductions of jagged branches against a slow reference, and truth values as in C++."""

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.physics.expressions import parse
from tauopt.physics.jagged import from_array, take_index, to_awkward
from tauopt.physics.operators import truth

LISTS = st.lists(st.lists(st.integers(-5, 5), max_size=4), min_size=1, max_size=8)


@settings(deadline=None, max_examples=30)
@given(LISTS)
def test_reductions_agree_with_a_slow_reference(lists):
    columns = {"j": ak.values_astype(ak.Array([*lists, [1]]), np.int8)[:-1]}
    expected = {
        "Sum$(j)": [sum(row) for row in lists],
        "prod(j)": [float(np.prod(row)) for row in lists],
        "Min$(j)": [min(row, default=np.nan) for row in lists],
        "Max$(j)": [max(row, default=np.nan) for row in lists],
        "Length$(j)": [len(row) for row in lists],
        "j[1]": [row[1] if len(row) > 1 else np.nan for row in lists],
    }
    for text, values in expected.items():
        np.testing.assert_array_equal(parse(text).evaluate(columns), values)


@settings(deadline=None, max_examples=30)
@given(LISTS, st.randoms(use_true_random=False))
def test_taking_candidates_agrees_with_a_slow_reference(lists, random):
    rows = [random.randrange(len(lists)) for _ in range(random.randrange(6))]
    jagged = from_array(ak.Array([*lists, [1]])[:-1], name="j")
    taken = jagged.take(np.array(rows, dtype=np.int64))
    assert to_awkward(taken).tolist() == [lists[row] for row in rows]
    index, _ = take_index(jagged.offsets, np.array(rows, dtype=np.int64))
    assert len(index) == len(taken.content)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_everything_but_zero_is_true(dtype):
    assert truth(np.array([0, 1], dtype=dtype)).tolist() == [False, True]


def test_nan_is_true_as_in_cpp():
    assert truth(np.array([np.nan])).tolist() == [True]
