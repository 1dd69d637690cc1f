"""Memory of batches, used again when nobody looks at it any more.

Fresh memory costs as much as filling it: the system clears every page of it first, one thread at a
time.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64
"""Bytes: a cache line, and what TensorFlow's tensors begin at: it copies those less aligned."""
MOST = 64_000_000
"""Bytes beyond which what nobody holds is given back: blocks of other sizes, of earlier readers."""


def _references(known: Sequence[npt.NDArray[Any]]) -> list[int]:
    """Count the references to each array, those of the list and of counting among them."""
    return [sys.getrefcount(memory) for memory in known]


_OURS = _references([np.empty(0)])[0]
"""References to memory that nobody else holds: how many counting makes differs among Pythons."""


class Recycled:
    """Gives uninitialised arrays, and the same memory again once an array and its views are gone.

    Safe for several threads.
    """

    def __init__(self) -> None:
        """Begin without any memory."""
        self._known: dict[int, list[npt.NDArray[np.uint8]]] = {}
        """Size -> memory of that size."""
        self._bytes = 0
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: type) -> npt.NDArray[Any]:
        """Return an aligned array, C-ordered, whose content is arbitrary."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        with self._lock:
            memory = self._free(size)
        begin = -memory.ctypes.data % ALIGNMENT
        return memory[begin : begin + size].view(dtype).reshape(shape)

    def _free(self, size: int) -> npt.NDArray[np.uint8]:
        known = self._known.get(size, [])
        for memory, references in zip(known, _references(known), strict=True):
            if references == _OURS:
                return memory
        if self._bytes + size > MOST:
            self._give_back()
        memory = np.empty(size + ALIGNMENT, np.uint8)
        self._known.setdefault(size, []).append(memory)
        self._bytes += size
        return memory

    def _give_back(self) -> None:
        """Drop all memory that nobody holds."""
        for known in self._known.values():
            references = _references(known)
            known[:] = [m for m, count in zip(known, references, strict=True) if count > _OURS]
        self._bytes = sum(size * len(known) for size, known in self._known.items())
