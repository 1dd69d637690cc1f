"""Assign events to cross-validation folds by a hash of the event number.

The fold, the same on every machine, is the first output of SplitMix64 seeded with the event number
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), modulo k.
A bare remainder would follow any regularity of the event numbers. In C++::

    uint64_t z = event_number + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % k;
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)


def hash_event(event_numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return 64 well-mixed bits for each event number, (event,); negative numbers wrap around."""
    z = event_numbers.astype(np.uint64) + _STEP
    for shift, factor in _ROUNDS:
        z = (z ^ (z >> shift)) * factor
    return z ^ (z >> np.uint64(31))


def fold_of(event_numbers: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Return the fold of each event, 0 to folds - 1, (event,)."""
    return (hash_event(event_numbers) % np.uint64(folds)).astype(np.int64)
