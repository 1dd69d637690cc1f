"""`tauopt stop`: stop a search that runs in another shell or on another machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from tauopt.cli.options import Json, Output, SearchName

if TYPE_CHECKING:
    from tauopt.workflows.control import ControlOutcome


def stop(
    search: SearchName = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Stop a search that runs in another shell, as Ctrl-C there would."""
    from tauopt.cli.console import progress
    from tauopt.workflows.control import stop as stop_search

    with progress() as display:
        outcome = stop_search(search, output=output, progress=display)
    show(outcome, json=json)


def show(outcome: ControlOutcome, *, json: bool) -> None:
    """Print the outcome of `stop` or `extend`, and the command that resumes the search."""
    from tauopt.cli.console import print_json, results

    if json:
        print_json(asdict(outcome))
        return
    results().print(f"{outcome.name}: {outcome.told}", markup=False, soft_wrap=True)
    if outcome.resume:
        results().print(f"go on with: {outcome.resume}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(stop)
