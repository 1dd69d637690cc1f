"""Events of a search, for whoever shows its progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tauopt.config.source.yaml_source import Scalar

EventKind = Literal[
    "started", "resumed", "report", "pruned", "complete", "failed", "retried", "duplicate", "note"
]


@dataclass(frozen=True)
class SearchEvent:
    """An event of a trial, or of the search (`number` -1)."""

    kind: EventKind
    number: int = -1
    params: Mapping[str, Scalar] = field(default_factory=dict)
    value: float | None = None
    """The first objective at this report or, for a trial that ended, at its best report."""
    report: int = 0
    candidates_seen: int = 0
    message: str = ""
    others: tuple[float, ...] = ()
    """The other objectives of a complete trial, in the study's order."""


OnEvent = Callable[[SearchEvent], None]


def ignore(event: SearchEvent) -> None:
    """Do nothing with an event: the default of the Python API."""


def describe(event: SearchEvent) -> str:
    """Return an event as a line of text."""
    trial = f"t{event.number:03d}" if event.number >= 0 else "search"
    values = () if event.value is None else (event.value, *event.others)
    value = "".join(f" {objective:.6g}" for objective in values)
    report = f" report {event.report}" if event.kind == "report" else ""
    params = (
        " " + " ".join(f"{k}={_short(v)}" for k, v in event.params.items()) if event.params else ""
    )
    kind = "" if event.kind in ("report", "note") else f" {event.kind}"
    message = f": {event.message}" if event.message else ""
    return f"{trial}{kind}{report}{value}{params}{message}"


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
