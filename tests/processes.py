"""Commands in processes of their own to which signals are sent; they end whatever happens."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import Any


@contextlib.contextmanager
def started(
    command: Sequence[str], *, limit_s: float = 120, **settings: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a session of its own, and kill all of it after the block or the limit.

    Ctrl-C reaches it: what a shell starts in the background ignores SIGINT, pytest may be that, and
    children would inherit it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, text=True, start_new_session=True, **settings)
    finally:
        signal.signal(signal.SIGINT, before)
    limit = threading.Timer(limit_s, _kill, [process])
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        _kill(process)
        process.communicate(timeout=30)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
