"""Standard streams of the command line: results to stdout, progress to stderr.

On a terminal progress is a live bar. Elsewhere (a batch log) each event is a line, and a stage has
at most ten lines of progress.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from tauopt.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

_LENIENT = ("replace", "backslashreplace", "xmlcharrefreplace", "namereplace", "ignore")
"""Error handlers that replace characters which an encoding does not have."""
_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def prepare_streams() -> None:
    """Open closed standard streams on `/dev/null`, and escape characters their encoding lacks.

    Shells, daemons and batch systems may close streams or give them a narrow encoding.
    """
    for number, name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, _open_null(number, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors not in _LENIENT:
            stream.reconfigure(errors="backslashreplace")


def _open_null(number: int, mode: str) -> IO[str]:
    """Open `/dev/null` with a stream's file descriptor, or another one if a file has that."""
    with contextlib.suppress(OSError):
        os.fstat(number)
        return open(os.devnull, mode)
    # The descriptor is free: the next file that is opened would get it, and libraries that print
    # to stdout or stderr would write into that file.
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    return open(number, mode, closefd=False)


def results() -> Console:
    """Return the console for results: stdout, `NO_COLOR` respected, 160 characters in pipes."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on stderr for the length of the block; yield what a workflow reports to."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        yield LiveBars(bars)


class LiveBars:
    """Progress on a terminal: one bar for each stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: Any = None

    def begin(self, title: str, total: int, unit: str = "") -> None:
        """Draw a new bar below the earlier ones."""
        self._task = self._bars.add_task(title, total=total, unit=unit)

    def advance(self, amount: int = 1) -> None:
        """Fill the present bar by `amount`."""
        self._bars.advance(self._task, amount)

    def say(self, message: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(message, highlight=False, markup=False)


class Lines:
    """Progress in a log: a line at the beginning of a stage and at every tenth of it."""

    def __init__(self) -> None:
        self._title, self._unit = "", ""
        self._total = self._done = self._printed_tenths = 0

    def begin(self, title: str, total: int, unit: str = "") -> None:
        """Print the title of a stage."""
        self._title, self._unit, self._total = title, unit, total
        self._done = self._printed_tenths = 0
        self.say(f"{title}: {total} {unit}".rstrip())

    def advance(self, amount: int = 1) -> None:
        """Count finished units, and print a line at every tenth."""
        self._done += amount
        tenths = 10 * self._done // max(self._total, 1)
        if tenths > self._printed_tenths:
            self._printed_tenths = tenths
            self.say(f"{self._title}: {self._done}/{self._total} {self._unit}".rstrip())

    def say(self, message: str) -> None:
        """Print a line to stderr."""
        print(message, file=sys.stderr, flush=True)  # noqa: T201
