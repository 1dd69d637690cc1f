"""Objects in order within their candidates, against a stable sort by two keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tauopt.physics.jagged import descending


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
