"""`tauopt confirm`: train the best points of a search again on other seeds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tauopt.cli.options import AcceptChanges, Json, Output, RayAddress, SearchName


class Preference(StrEnum):
    """What is recommended of the points that stay tied with the best."""

    best = "best"
    cheapest = "cheapest"


def confirm(
    search: SearchName = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Points at most, of those tied with the best [default: 5]."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, help="New trainings of each point [default: 3].")
    ] = None,
    prefer: Annotated[
        Preference | None,
        typer.Option(
            help="What is recommended of the points that stay tied: the one with the lowest loss, "
            "or the one with the fewest parameters [default: best]."
        ),
    ] = None,
    output: Output = None,
    accept_changes: AcceptChanges = False,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Train the best points of a search again on other seeds, and rank them by their means.

    The defaults are those of the search's file, if it says how to confirm.
    """
    del ray_address
    from tauopt.cli.console import progress
    from tauopt.cli.live_display import watching
    from tauopt.cli.search import show
    from tauopt.cli.stop import show as show_request
    from tauopt.workflows.control import ControlOutcome
    from tauopt.workflows.control import confirm as run

    with progress() as display, watching(None) as on_event:
        result = run(
            search,
            top=top,
            seeds=seeds,
            prefer=prefer.value if prefer else None,
            output=output,
            accept_changes=accept_changes,
            progress=display,
            on_event=on_event,
        )
    if isinstance(result, ControlOutcome):
        show_request(result, json=json)
    else:
        show(result, output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(confirm)
