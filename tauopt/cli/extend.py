"""`tauopt extend`: give a search that runs or has ended more trials or a larger budget."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output, SearchName


def extend(
    search: SearchName = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Total number of trials.")] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, help="Total budget of wall time, hours.")
    ] = None,
    gpu_hours: Annotated[
        float | None, typer.Option(min=0, help="Total budget of GPU time, hours.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Give a search more trials or a larger budget, also while it runs."""
    from tauopt.cli.stop import show
    from tauopt.workflows.control import extend as extend_search

    outcome = extend_search(search, trials=trials, hours=hours, gpu_hours=gpu_hours, output=output)
    show(outcome, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(extend)
