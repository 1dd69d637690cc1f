"""Compile loops with numba, cached on disk, so that a new worker loads machine code.

The cache is beside the source, or in the user's cache folder if that is read-only
(`NUMBA_CACHE_DIR` overrides both).
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

import numba

logger = logging.getLogger(__name__)

_CACHE_FAULTS = (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError)
"""Raised by numba if there is no writable folder, the disk is full, or an entry is damaged."""


def compiled(signature: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that compiles a loop for one signature; the loop releases the GIL.

    Without a usable cache it compiles again in each process (about a second) and logs a warning.
    """

    def compile_now(function: Callable[..., None]) -> Callable[..., None]:
        try:
            return numba.njit(signature, nogil=True, cache=True)(function)  # type: ignore[no-any-return]
        except _CACHE_FAULTS as error:
            logger.warning(
                "no cache for compiled code (%s): every process compiles it again; "
                "set NUMBA_CACHE_DIR to a writable folder",
                error,
            )
            return numba.njit(signature, nogil=True)(function)  # type: ignore[no-any-return]

    return compile_now
