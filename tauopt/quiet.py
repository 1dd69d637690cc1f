"""Keep C++ libraries that talk on stderr while they are imported from talking to the user."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """Send what this process writes to its stderr to nowhere for the length of the block.

    TensorFlow tells of missing CUDA drivers before any of its log settings count; errors of the
    import itself are Python's and come through.
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
