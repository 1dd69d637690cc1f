"""`tauopt extend`: give a search that runs or has ended more trials, a larger budget or points."""

from __future__ import annotations

from pathlib import Path
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
    points: Annotated[
        list[Path] | None,
        typer.Option(
            "--try",
            metavar="FILE",
            help="YAML file of a point (path: value), or a list of several, to try first; "
            "one trial more each; repeatable.",
        ),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Give a search more trials, a larger budget or points of one's own, also while it runs."""
    from tauopt.cli.stop import show
    from tauopt.workflows.control import extend as extend_search

    outcome = extend_search(
        search,
        trials=trials,
        hours=hours,
        gpu_hours=gpu_hours,
        points=points or (),
        output=output,
    )
    show(outcome, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(extend)
