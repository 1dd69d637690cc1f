"""Damage files at random."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator

import numpy as np


def mutate(whole: bytes, rng: np.random.Generator) -> bytes:
    """Cut a file off, or change one to eight places of it, single bytes or four together."""
    changed = bytearray(whole)
    kind = rng.integers(3)
    if kind == 0:
        return bytes(changed[: rng.integers(1, len(whole))])
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.integers(len(whole)))
        if kind == 1:
            changed[place] = int(rng.integers(256))
        else:
            changed[place : place + 4] = bytes(rng.integers(0, 256, 4, dtype=np.uint8))
    return bytes(changed[: len(whole)])


@contextlib.contextmanager
def little_memory(megabytes: int = 1000) -> Iterator[None]:
    """Check that the peak memory of this process grows by no more within the block.

    Finalizers may fail there: over damaged types uproot recurses to the interpreter's limit, and
    pytest's hook for what a finalizer then raises fails itself, for lack of stack, and the test.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert grown < megabytes, f"{grown} MB more memory were taken"
