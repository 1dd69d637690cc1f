"""`tauopt resume`: go on with a search that was stopped or killed."""

from __future__ import annotations

import typer

from tauopt.cli.options import Json, Output, RayAddress, SearchName


def resume(
    search: SearchName = None,
    output: Output = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Go on with a search that nobody runs, as it was begun."""
    del ray_address
    from tauopt.cli.console import progress
    from tauopt.cli.live_display import watching
    from tauopt.cli.search import show
    from tauopt.workflows.control import resume as go_on

    with progress() as told, watching(None) as on_event:
        found = go_on(search, output=output, progress=told, on_event=on_event)
    show(found, output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(resume)
