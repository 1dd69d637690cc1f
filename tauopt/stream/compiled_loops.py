"""Compile loops with numba, cached on disk where there is a place for it.

The cache lies beside the source, or in the user's cache folder where that is read-only
(`NUMBA_CACHE_DIR` overrides both), so that a fresh worker loads machine code instead of compiling.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

import numba

logger = logging.getLogger(__name__)

_CACHE_FAULTS = (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError)
"""What numba raises for no place, a full disk, and a damaged entry."""


def compiled(signature: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a loop for one signature at once, releasing the GIL while it runs.

    Without a usable cache it is compiled anew in each process (about a second), which is logged.
    """

    def compile_now(function: Callable[..., None]) -> Callable[..., None]:
        try:
            return numba.njit(signature, nogil=True, cache=True)(function)  # type: ignore[no-any-return]
        except _CACHE_FAULTS as error:
            logger.warning(
                "no cache for compiled code (%s): it is compiled anew in each process; "
                "set NUMBA_CACHE_DIR to a folder that can be written",
                error,
            )
            return numba.njit(signature, nogil=True)(function)  # type: ignore[no-any-return]

    return compile_now
