"""Folds by a hash of the event number: known values, the slow reference, evenness."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tauopt.physics.folds import fold_of, hash_event


def _slow(number: int) -> int:
    """SplitMix64 in whole numbers, as its authors print it."""
    wrap = 2**64
    z = (number + 0x9E3779B97F4A7C15) % wrap
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % wrap
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % wrap
    return z ^ (z >> 31)


def test_hash_of_zero_is_the_published_one():
    assert hash_event(np.array([0])).tolist() == [0xE220A8397B1DCDAF]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(3, 1000))
def test_folds_agree_with_a_slow_reference(numbers, folds):
    assigned = fold_of(np.array(numbers, dtype=np.int64), folds).tolist()
    assert assigned == [_slow(number % 2**64) % folds for number in numbers]


def test_regular_event_numbers_fall_evenly():
    """Every k-th event alone, as some productions give: a bare remainder fills one fold."""
    for step in (1, 2, 5, 1000):
        counts = np.bincount(fold_of(np.arange(0, 50_000 * step, step), 5), minlength=5)
        assert np.all(np.abs(counts - 10_000) < 5 * np.sqrt(10_000 * 0.8))
