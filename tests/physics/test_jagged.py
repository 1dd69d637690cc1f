"""Jagged columns against lists of lists, and objects in order against a stable sort by two keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tauopt.physics.jagged import Jagged, concatenate, descending


def slow(keys, owners):
    order = []
    for owner in sorted(set(owners.tolist())):
        indices = np.flatnonzero(owners == owner).tolist()
        order += sorted(indices, key=lambda i: -float(keys[i]))
    return order


ANY = st.floats(allow_nan=False)
FEW = st.sampled_from([-np.inf, -2.5, -1.0, -0.0, 0.0, 1e-40, 1.0, 2.5, np.inf])


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "?"])
@given(keys=st.lists(st.one_of(ANY, FEW), max_size=40), counts=st.lists(st.integers(0, 6)))
def test_objects_are_sorted_within_their_candidate_and_equal_ones_keep_their_order(
    dtype, keys, counts
):
    owners = np.repeat(np.arange(len(counts)), counts)[: len(keys)]
    with np.errstate(all="ignore"):
        numbers = np.nan_to_num(np.array(keys[: len(owners)]))
        values = np.clip(numbers, -99, 99).astype(dtype) if dtype[0] in "iu?" else None
        values = numbers.astype(dtype) if values is None else values
    assert np.arange(len(values))[descending(values, owners)].tolist() == slow(values, owners)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_many_different_keys_agree_with_the_slow_sort(dtype):
    rng = np.random.default_rng(1)
    owners = np.repeat(np.arange(300), rng.poisson(5, 300))
    keys = rng.normal(size=len(owners)).astype(dtype)
    assert descending(keys, owners).tolist() == slow(keys, owners)


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=8), st.data())
def test_taking_slicing_and_joining_are_those_of_lists_of_lists(lists, data):
    def jagged_of(rows):
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        flat = [number for row in rows for number in row]
        return Jagged(np.array(flat, np.float32).reshape(-1, 1), offsets)

    def lists_of(jagged):
        return [
            jagged.content[a:b, 0].tolist()
            for a, b in zip(jagged.offsets, jagged.offsets[1:], strict=False)
        ]

    jagged = jagged_of(lists)
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1)))
    assert lists_of(jagged.take(np.array(rows, np.int64))) == [lists[row] for row in rows]
    start = data.draw(st.integers(0, len(lists)))
    stop = data.draw(st.integers(start, len(lists)))
    assert lists_of(jagged.slice(start, stop)) == lists[start:stop]
    assert lists_of(concatenate([jagged, jagged.slice(start, stop)])) == lists + lists[start:stop]
    assert jagged.counts.tolist() == [len(row) for row in lists]
