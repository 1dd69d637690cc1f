"""`tauopt stop`: stop a search that runs in another shell or on another machine."""

from __future__ import annotations

import typer

from tauopt.cli.options import Json, Output, SearchName


def stop(
    search: SearchName = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Stop a search that another shell runs, as Ctrl-C there would."""
    from tauopt.cli.control_outcome import ask
    from tauopt.workflows.control import stop as asked

    ask(asked, search, output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(stop)
