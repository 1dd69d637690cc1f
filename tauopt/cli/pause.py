"""`tauopt pause`: free what a search holds, and keep its driver."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def pause(
    search: Annotated[
        str | None, typer.Argument(metavar="[SEARCH]", help="Its name [default: the latest].")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Have a search free its processors and GPUs until `tauopt resume`."""
    from tauopt.cli.console import progress
    from tauopt.cli.controlled import print_controlled
    from tauopt.workflows.control import pause as ask

    with progress() as told:
        found = ask(search, output=output, progress=told)
    print_controlled(found, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(pause)
