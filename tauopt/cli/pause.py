"""`tauopt pause`: free what a search holds, and keep its driver."""

from __future__ import annotations

import typer

from tauopt.cli.options import Json, Output, Search


def pause(
    search: Search = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Have a search free its processors and GPUs until `tauopt resume`."""
    from tauopt.cli.controlled import ask
    from tauopt.workflows.control import pause as asked

    ask(asked, search, output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(pause)
