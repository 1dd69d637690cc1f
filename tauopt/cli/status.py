"""`tauopt status`: print the state of a search."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tauopt.cli.options import Json, Output, SearchName

if TYPE_CHECKING:
    from tauopt.workflows.status import SearchStatus


def status(
    search: SearchName = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Print the state of a search: its trials, the time it still needs, and who runs it."""
    from tauopt.cli.console import print_json, results
    from tauopt.workflows.status import status as read

    state = read(search, output=output)
    if json:
        print_json(asdict(state))
        return
    for line in status_lines(state, output):
        results().print(line, markup=False, soft_wrap=True)


def status_lines(state: SearchStatus, output: Path | None = None) -> list[str]:
    """Return the state of a search as lines of text."""
    counts = ", ".join(f"{n} {name.lower()}" for name, n in sorted(state.counts.items()))
    lines = [f"search {state.name}: {state.asked} trials planned; {counts or 'none yet'}"]
    if state.to_confirm and not state.confirming:
        lines.append(f"then the best points are confirmed: {state.to_confirm} trainings at most")
    elif state.to_confirm:
        asked = state.confirmed + state.to_confirm
        ended = f"{state.confirmed} of {asked} trainings on other seeds have ended"
        lines.append(f"confirming the best points: {ended}")
    if state.best is not None:
        first, *others = state.objectives
        trials = f"{state.front} trial{'s' if state.front > 1 else ''}"
        also = f"; the front with {', '.join(others)} has {trials}" if others else ""
        lines.append(f"best so far: {first} {state.best:.6g}{also}")
    if state.holder:
        left = "" if state.seconds_left is None else f", about {_time(state.seconds_left)} left"
        lines.append(f"run by {state.holder}, {_time(state.seconds)} in all{left}")
    elif state.is_elsewhere:
        lines.append("its folder is not on this machine, so it is unknown who runs it")
    else:
        unfinished = (
            state.interrupted or sum(state.counts.values()) < state.asked or state.to_confirm
        )
        option = [] if output is None else ["-o", str(output)]
        resume = shlex.join(["tauopt", "resume", state.name, *option])
        lines.append("nobody runs it" + (f"; go on with: {resume}" if unfinished else ""))
    if state.gpu_seconds:
        lines.append(f"GPU time so far: {state.gpu_seconds / 3600:.2f} h")
    what = "running" if state.running else "interrupted, can be resumed"
    for trial in (*state.running, *state.interrupted):
        value = "" if trial.value is None else f", value {trial.value:.6g}"
        lines.append(f"  t{trial.number:03d} {what}, at report {trial.report}{value}")
    return lines


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(status)
