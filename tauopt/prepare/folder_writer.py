"""One writer of a folder at a time, and none that harms another where there are no locks."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tauopt import durable


@contextlib.contextmanager
def one_writer(
    folder: Path, *, lock: Path, what: str, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock of a folder, waiting for another process that makes the same.

    What a killed process left of it is removed. On a file system without locks nobody waits and
    nothing is removed, and the first that is done wins (see `durable.new_folder`).

    Args:
        folder: to be made.
        lock: its lock file.
        what: what is made, for messages.
        say: is told whom is waited for.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(durable.locked_in_turn(lock, what=what, say=say))
            leftovers = list(folder.parent.glob(f".{folder.name}.*.tmp"))
        except OSError:
            leftovers = []
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)
        yield
