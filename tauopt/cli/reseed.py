"""`tauopt reseed`: is a setting good, or was it lucky?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json, Output, RayAddress, SearchName

if TYPE_CHECKING:
    from rich.table import Table

    from tauopt.workflows.reseed import ReseedResult


def reseed(
    search: SearchName = None,
    top: Annotated[int, typer.Option(min=1, help="How many trials, the best first.")] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="How often each is trained.")] = 5,
    output: Output = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Train the best trials of a search again on other seeds: mean, spread, and ties."""
    del ray_address
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.cli.live_display import watching
    from tauopt.workflows.reseed import reseed as run

    with progress() as told, watching(top * seeds) as on_event:
        found = run(search, top=top, seeds=seeds, output=output, progress=told, on_event=on_event)
    if json:
        print_json(asdict(found))
        return
    console = results()
    console.print(_table(found))
    if found.best_run_id:
        place = f" -o {output}" if output else ""
        console.print(
            f"promote: tauopt promote {found.best_run_id}{place}", markup=False, soft_wrap=True
        )


def _table(found: ReseedResult) -> Table:
    from rich.table import Table

    table = Table(
        title=f"search {found.search} on other seeds",
        caption="mean and standard deviation between seeds; the search's own training is left out",
    )
    for header in ("trial", "trainings", f"{found.objective}, mean", "deviation", "error", ""):
        table.add_column(header, justify="right")
    for place, one in enumerate(found.spreads):
        word = "best" if place == 0 else "tie" if one.is_tied else "worse"
        table.add_row(
            f"t{one.number:03d}", str(len(one.values)), f"{one.mean:.5g}",
            f"{one.deviation:.2g}", f"{one.error:.2g}", word,
        )  # fmt: skip
    return table


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(reseed)
