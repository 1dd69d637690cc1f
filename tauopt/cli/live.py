"""How trials are shown: a live table on a terminal, one line an event elsewhere, a final table."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tauopt.config.networks.own import HYPERPARAMETERS

if TYPE_CHECKING:
    from rich.table import Table

    from tauopt.search.events import Event
    from tauopt.search.leaderboard import Row

_SHOWN_PARAMS = 6
_WIDTH, _PARAM_WIDTH = 80, 13
"""Characters of the leaderboard without parameters, and of one of them, about."""
_SHOWN_ENDED = 8
_ENDS = ("complete", "pruned", "failed", "duplicate")


@contextlib.contextmanager
def watching(asked: int | None) -> Iterator[Callable[[Event], None]]:
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


def _tell(event: Event) -> None:
    from tauopt.search.events import describe

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

    def take(self, event: Event) -> None:
        """Take note of an event."""
        if event.number < 0:
            self._note = event.message
            return
        if event.kind in ("started", "resumed") or event.number not in self._trials:
            params = " ".join(f"{_last(k)}={_short(v)}" for k, v in event.params.items())
            self._trials[event.number] = _Shown(params)
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
            table.add_row(
                f"t{number:03d}", shown.state, str(shown.report or ""), value,
                f"{seconds:.0f} s", shown.message if shown.state == "failed" else shown.params,
            )  # fmt: skip
        return table


def board_table(
    board: Sequence[Row],
    objective: str,
    *,
    title: str,
    varying: Sequence[str] = (),
    width: int = 160,
) -> Table:
    """Draw ranked trials: value with its 68 % interval, state, run id, parameters that vary.

    Args:
        board: best first; duplicates are left out.
        objective: its name.
        title: of the table.
        varying: paths of parameters to show; empty finds them.
        width: characters there are; parameters are shown as far as there is room for them.
    """
    from rich.table import Table

    own = [row for row in board if row.duplicate_of is None]
    paths = list(varying) or _varying(own)
    shown = min(_SHOWN_PARAMS, max(0, width - _WIDTH) // _PARAM_WIDTH)
    paths, hidden = paths[:shown], len(paths) - shown
    caption = f"and {hidden} more parameters: --json has them" if hidden > 0 else None
    table = Table(title=title, caption=caption)
    for name in ("rank", "trial", objective, "68 % interval", "state"):
        table.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    for path in paths:
        table.add_column(_last(path), justify="right")
    table.add_column("run id", no_wrap=True)
    for row in own:
        table.add_row(
            str(row.rank or ""),
            f"t{row.number:03d}",
            "" if row.value is None else f"{row.value:.5g}",
            "" if row.low is None or row.high is None else f"{row.low:.5g} - {row.high:.5g}",
            row.state.lower(),
            *(_short(row.params[p]) if p in row.params else "" for p in paths),
            row.run_id[:8],
        )
    return table


def _varying(board: Sequence[Row]) -> list[str]:
    from tauopt.search.leaderboard import varying

    return varying(board)


def _last(path: str) -> str:
    """Return the end of a path that is told apart well enough in a narrow column."""
    if path.startswith(HYPERPARAMETERS):
        return path.removeprefix(HYPERPARAMETERS)
    parts = path.split(".")
    return ".".join(parts[-2:]) if parts[0] == "model" and len(parts) > 2 else parts[-1]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
