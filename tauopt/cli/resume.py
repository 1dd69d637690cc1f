"""`tauopt resume`: resume a search that was stopped or killed."""

from __future__ import annotations

import typer

from tauopt.cli.options import AcceptChanges, Json, Output, RayAddress, SearchName


def resume(
    search: SearchName = None,
    output: Output = None,
    accept_changes: AcceptChanges = False,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Resume a search that is not running, with the experiment that it recorded."""
    del ray_address
    from tauopt.cli.console import progress
    from tauopt.cli.live_display import watching
    from tauopt.cli.search import show
    from tauopt.workflows.control import resume as resume_search

    with progress() as display, watching(None) as on_event:
        result = resume_search(
            search,
            output=output,
            accept_changes=accept_changes,
            progress=display,
            on_event=on_event,
        )
    show(result, output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(resume)
