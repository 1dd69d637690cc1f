"""`tauopt status`: how a search stands."""

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
    """Say how a search stands: what runs, what is done, how long it will take, who holds it."""
    from tauopt.cli.console import print_json, results
    from tauopt.workflows.status import status as read

    stands = read(search, output=output)
    if json:
        print_json(asdict(stands))
        return
    for line in status_lines(stands, output):
        results().print(line, markup=False, soft_wrap=True)


def status_lines(stands: SearchStatus, output: Path | None = None) -> list[str]:
    """Say in lines how a search stands."""
    counts = ", ".join(f"{n} {state.lower()}" for state, n in sorted(stands.counts.items()))
    lines = [f"search {stands.name}: {stands.asked} trials asked for; {counts or 'none yet'}"]
    if stands.best is not None:
        first, *others = stands.objectives
        trials = f"{stands.front} trial{'s' if stands.front > 1 else ''}"
        also = f"; the front with {', '.join(others)} has {trials}" if others else ""
        lines.append(f"best so far: {first} {stands.best:.6g}{also}")
    if stands.holder:
        left = "" if stands.seconds_left is None else f", about {_time(stands.seconds_left)} left"
        lines.append(f"run by {stands.holder}, {_time(stands.seconds)} in all{left}")
    elif stands.is_elsewhere:
        lines.append("its folder is not on this machine, so who runs it is not seen here")
    else:
        unfinished = stands.interrupted or sum(stands.counts.values()) < stands.asked
        place = [] if output is None else ["-o", str(output)]
        resume = shlex.join(["tauopt", "resume", stands.name, *place])
        lines.append("nobody runs it" + (f"; go on with: {resume}" if unfinished else ""))
    if stands.gpu_seconds:
        lines.append(f"GPU time so far: {stands.gpu_seconds / 3600:.2f} h")
    what = "running" if stands.running else "interrupted, will go on"
    for trial in (*stands.running, *stands.interrupted):
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
