"""`tauopt extend`: more trials, or a larger budget, for a search that runs or has ended."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output, SearchName


def extend(
    search: SearchName = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all.")] = None,
    hours: Annotated[float | None, typer.Option(min=0, help="Budget of wall time in all.")] = None,
    gpu_hours: Annotated[
        float | None, typer.Option(min=0, help="Budget of GPU time in all.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Give a search more trials or a larger budget, also while it runs."""
    from tauopt.cli.control_outcome import print_controlled
    from tauopt.workflows.control import extend as give

    found = give(search, trials=trials, hours=hours, gpu_hours=gpu_hours, output=output)
    print_controlled(found, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(extend)
