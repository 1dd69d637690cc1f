"""`tauopt stop`: stop a search that runs in another shell or on another machine."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def stop(
    search: Annotated[
        str | None, typer.Argument(metavar="[SEARCH]", help="Its name [default: the latest].")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Stop a search that another shell runs, as Ctrl-C there would."""
    from tauopt.cli.console import progress
    from tauopt.cli.controlled import print_controlled
    from tauopt.workflows.control import stop as ask

    with progress() as told:
        found = ask(search, output=output, progress=told)
    print_controlled(found, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(stop)
