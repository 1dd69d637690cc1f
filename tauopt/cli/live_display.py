"""How trials are shown while they run: a live table on a terminal, one line an event elsewhere."""

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

_SHOWN_ENDED = 8
_ENDS = ("complete", "pruned", "failed", "duplicate")


@contextlib.contextmanager
def watching(asked: int | None) -> Iterator[Callable[[SearchEvent], None]]:
    """Give a listener to a search's events that shows them on stderr.

    Args:
        asked: trials asked for, if known.
    """
    if not sys.stderr.isatty():
        yield _tell
        return
    from rich.console import Console
    from rich.live import Live

    view = View(asked)
    console = Console(stderr=True)
    with Live(get_renderable=view.table, console=console, refresh_per_second=4, transient=True):
        yield view.take


def _tell(event: SearchEvent) -> None:
    from tauopt.study.search_events import describe

    print(describe(event), file=sys.stderr, flush=True)  # noqa: T201


@dataclass
class _Shown:
    params: str
    state: str = "running"
    report: int = 0
    value: float | None = None
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    message: str = ""


class View:
    """The state of the live table."""

    def __init__(self, asked: int | None) -> None:
        self._asked = asked
        self._trials: dict[int, _Shown] = {}
        self._counts: Counter[str] = Counter()
        self._best: tuple[float, int] | None = None
        self._note = ""

    def take(self, event: SearchEvent) -> None:
        """Take note of an event."""
        if event.number < 0:
            self._note = event.message
            return
        if event.kind in ("started", "resumed") or event.number not in self._trials:
            params = without_type(event.params).items()
            text = " ".join(f"{last_part(path)}={short(value)}" for path, value in params)
            self._trials[event.number] = _Shown(text)
        shown = self._trials[event.number]
        shown.message = event.message or shown.message
        shown.report = event.report or shown.report
        shown.value = event.value if event.value is not None else shown.value
        if event.kind in _ENDS:
            shown.state, shown.seconds = event.kind, time.monotonic() - shown.begun
            self._counts[event.kind] += 1
        if event.kind == "complete" and event.value is not None:
            self._best = max(self._best or (event.value, event.number), (event.value, event.number))

    def table(self) -> Table:
        """Draw running trials and those that ended last."""
        from rich.table import Table
        from rich.text import Text

        counts = ", ".join(f"{count} {kind}" for kind, count in dict(self._counts).items())
        best = f"; best {self._best[0]:.5g} (t{self._best[1]:03d})" if self._best else ""
        of = f" of {self._asked}" if self._asked and counts else ""
        title = f"{counts}{of}{best}" if self._trials else "starting"
        table = Table(title=title or None, caption=self._note or None)
        for name in ("trial", "state", "report", "value", "time", "parameters"):
            table.add_column(name, no_wrap=name != "parameters")
        known = dict(self._trials)  # drawn in another thread than events come in
        running = [n for n, t in known.items() if t.state == "running"]
        ended = [n for n, t in known.items() if t.state != "running"]
        for number in [*ended[-_SHOWN_ENDED:], *running]:
            shown = known[number]
            seconds = shown.seconds or time.monotonic() - shown.begun
            value = "" if shown.value is None else f"{shown.value:.5g}"
            is_told = shown.state == "failed"
            # A line a trial, cut where the terminal ends; why one failed is said in full.
            params = Text(shown.params, no_wrap=True, overflow="ellipsis")
            table.add_row(
                f"t{number:03d}", shown.state, str(shown.report or ""), value,
                f"{seconds:.0f} s", Text(shown.message) if is_told else params,
            )  # fmt: skip
        return table
