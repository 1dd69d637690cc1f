"""Where output goes: results to stdout, progress to stderr.

On a terminal progress is a live bar; elsewhere (a batch log) it is one line an event, and at
most ten lines a stage.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tauopt.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars


def results() -> Console:
    """Return the console for results: stdout, `NO_COLOR` respected, no width limit in pipes."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Give a `Progress` that draws on stderr for the length of the block."""
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
    """A bar a stage, on a terminal."""

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
    """Plain lines, for logs: a stage's beginning and every tenth of it."""

    def __init__(self) -> None:
        self._title, self._unit = "", ""
        self._total = self._done = self._told = 0

    def begin(self, title: str, total: int, unit: str = "") -> None:
        """Tell that a stage begins."""
        self._title, self._unit, self._total = title, unit, total
        self._done = self._told = 0
        self.say(f"{title}: {total} {unit}".rstrip())

    def advance(self, amount: int = 1) -> None:
        """Count, and tell at every tenth."""
        self._done += amount
        tenth = 10 * self._done // max(self._total, 1)
        if tenth > self._told:
            self._told = tenth
            self.say(f"{self._title}: {self._done}/{self._total} {self._unit}".rstrip())

    def say(self, message: str) -> None:
        """Print a line to stderr."""
        print(message, file=sys.stderr, flush=True)  # noqa: T201
