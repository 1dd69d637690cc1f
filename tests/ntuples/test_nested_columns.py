"""Lists of lists as flat content and offsets."""

import awkward as ak
import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.ntuples.nested_columns import Nested, from_awkward, repeat, take
from tauopt.physics.jagged import Jagged, to_awkward


@pytest.mark.parametrize(
    "values",
    [
        [1.5, 2.5],
        [[1, 2], [], [3]],
        [[[1], [2, 3]], [], [[]], [[4]]],
    ],
)
def test_content_and_offsets_give_the_lists_back(values):
    column = from_awkward(ak.Array(values), name="x")
    again = ak.Array(column.content)
    for offsets in reversed(column.offsets):
        again = ak.unflatten(again, np.diff(offsets))
    assert again.tolist() == values


def test_a_slice_holds_only_its_own():
    column = from_awkward(ak.Array([[[1], [2, 3]], [], [[4]]])[2:], name="x")
    assert column.content.tolist() == [4]
    assert [offsets.tolist() for offsets in column.offsets] == [[0, 1], [0, 1]]


def test_fixed_numbers_of_values_are_lists():
    column = from_awkward(ak.from_regular(ak.Array(np.arange(6).reshape(3, 2))), name="x")
    assert column.offsets[0].tolist() == [0, 2, 4, 6]
    column = from_awkward(ak.Array(np.arange(6).reshape(3, 2)), name="x")
    assert column.offsets[0].tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("values", [[[[[1]]]], ["text"], [{"x": 1}]])
def test_other_types_and_deeper_lists_are_refused(values):
    with pytest.raises(DataError, match="x: expected numbers in at most two lists"):
        from_awkward(ak.Array(values), name="x")


def test_every_candidate_has_its_events_value_or_list():
    events = np.array([0, 0, 2])
    assert repeat(from_awkward(ak.Array([5, 6, 7]), name="x"), events, name="x").tolist() == [
        *(5, 5, 7)
    ]
    lists = repeat(from_awkward(ak.Array([[1, 2], [], [3]]), name="x"), events, name="x")
    assert to_awkward(lists).tolist() == [[1, 2], [1, 2], [3]]


def test_lists_of_lists_can_not_be_repeated():
    with pytest.raises(DataError, match="list of lists"):
        repeat(from_awkward(ak.Array([[[1]]]), name="x"), np.array([0]), name="x")


def test_items_are_taken_with_their_lists():
    column = from_awkward(ak.Array([[[1], [2, 3]], [[]], [[4]]]), name="x")
    chosen = take(column.items, np.array([3, 1]))
    assert to_awkward(chosen).tolist() == [[4], [2, 3]]
    assert isinstance(chosen, Jagged)
    assert take(Nested(np.arange(3), (np.array([0, 3]),)).items, np.array([2])).tolist() == [2]
