"""Before a folder is written: hold its lock, and check the free disk space."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tauopt import durable

check_space = partial(
    durable.check_space,
    what="the prepared dataset",
    remedy="set TAUOPT_CACHE to another disk",
)
"""Raise a ServiceError when the disk of `folder` can't hold `needed` more bytes."""


@contextlib.contextmanager
def one_writer(
    folder: Path, *, lock: Path, what: str, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock of a folder, waiting for another process that makes the same.

    Temporary folders that a killed process left are removed. On a file system without locks nobody
    waits and nothing is removed, and the first process to finish wins (see `durable.new_folder`).

    Args:
        folder: to be made.
        lock: its lock file.
        what: what is made, for messages.
        say: called with a message that names the process waited for.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(durable.locked_in_turn(lock, what=what, say=say))
            leftovers = list(folder.parent.glob(f".{folder.name}.*.tmp"))
        except OSError:  # a file system without locks: a temporary folder may be another writer's
            leftovers = []
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)
        yield
