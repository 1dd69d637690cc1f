"""Show trials while they run: a live table on a terminal, one line for each event elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tauopt.cli.leaderboard_table import last_part, short
from tauopt.config.space.any_architecture import without_type

if TYPE_CHECKING:
    from rich.table import Table

    from tauopt.study.search_events import SearchEvent

_MOST_ENDED = 8
"""Ended trials in the table, besides all running ones."""
_ENDS = ("complete", "pruned", "failed", "duplicate")
"""Events that end a trial."""


@contextlib.contextmanager
def watching(trials: int | None) -> Iterator[Callable[[SearchEvent], None]]:
    """Show a search's events on stderr for the length of the block; yield the callback for them.

    Args:
        trials: total number of trials, if known.
    """
    if not sys.stderr.isatty():
        yield _print_event
        return
    from rich.console import Console
    from rich.live import Live

    view = View(trials)
    console = Console(stderr=True)
    with Live(get_renderable=view.table, console=console, refresh_per_second=4, transient=True):
        yield view.take


def _print_event(event: SearchEvent) -> None:
    from tauopt.study.search_events import describe

    print(describe(event), file=sys.stderr, flush=True)  # noqa: T201


@dataclass
class _TrialLine:
    params: str
    state: str = "running"
    report: int = 0
    value: float | None = None
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    message: str = ""


class View:
    """State of the live table, updated by events.

    Args:
        trials: total number of trials, if known.
    """

    def __init__(self, trials: int | None) -> None:
        self._total = trials
        self._trials: dict[int, _TrialLine] = {}
        self._counts: Counter[str] = Counter()
        self._best: tuple[float, int] | None = None
        self._note = ""

    def take(self, event: SearchEvent) -> None:
        """Update the state by an event."""
        if event.number < 0:  # a note on the search, of no trial
            self._note = event.message
            return
        if event.kind in ("started", "resumed") or event.number not in self._trials:
            params = without_type(event.params).items()
            text = " ".join(f"{last_part(path)}={short(value)}" for path, value in params)
            self._trials[event.number] = _TrialLine(text)
        line = self._trials[event.number]
        line.message = event.message or line.message
        line.report = event.report or line.report
        line.value = event.value if event.value is not None else line.value
        if event.kind in _ENDS:
            line.state, line.seconds = event.kind, time.monotonic() - line.begun
            self._counts[event.kind] += 1
        if event.kind == "complete" and event.value is not None:
            self._best = max(self._best or (event.value, event.number), (event.value, event.number))

    def table(self) -> Table:
        """Draw the running trials and those that ended last."""
        from rich.table import Table
        from rich.text import Text

        counts = ", ".join(f"{count} {kind}" for kind, count in dict(self._counts).items())
        best = f"; best {self._best[0]:.5g} (t{self._best[1]:03d})" if self._best else ""
        total = f" of {self._total}" if self._total and counts else ""
        title = f"{counts}{total}{best}" if self._trials else "starting"
        table = Table(title=title or None, caption=self._note or None)
        for name in ("trial", "state", "report", "value", "time", "parameters"):
            table.add_column(name, no_wrap=name != "parameters")
        lines = dict(self._trials)  # a copy: events arrive in another thread
        running = [number for number, line in lines.items() if line.state == "running"]
        ended = [number for number, line in lines.items() if line.state != "running"]
        for number in [*ended[-_MOST_ENDED:], *running]:
            line = lines[number]
            seconds = line.seconds or time.monotonic() - line.begun
            value = "" if line.value is None else f"{line.value:.5g}"
            # Parameters take one line, cut at the terminal's width; a failure is shown in full.
            params = Text(line.params, no_wrap=True, overflow="ellipsis")
            table.add_row(
                f"t{number:03d}", line.state, str(line.report or ""), value,
                f"{seconds:.0f} s", Text(line.message) if line.state == "failed" else params,
            )  # fmt: skip
        return table
