"""The standard streams as shells, daemons and batch systems give them: closed, or narrow."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO

_LENIENT = ("replace", "backslashreplace", "xmlcharrefreplace", "namereplace", "ignore")
_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def prepare_streams() -> None:
    """Let closed streams be `/dev/null`, and replace what an encoding can't hold.

    A closed stream's number would be the next file's, into which libraries then print.
    """
    for number, name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere(number, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors not in _LENIENT:
            stream.reconfigure(errors="backslashreplace")


def _nowhere(number: int, mode: str) -> IO[str]:
    """Open `/dev/null` under a stream's number, or under another if a file has that one."""
    with contextlib.suppress(OSError):
        os.fstat(number)
        return open(os.devnull, mode)
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    return open(number, mode, closefd=False)
