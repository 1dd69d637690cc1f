"""`tauopt reseed`: train the best trials again on other seeds, for mean and spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json, Output, RayAddress, SearchName

if TYPE_CHECKING:
    from rich.table import Table

    from tauopt.workflows.reseed import ReseedResult


def reseed(
    search: SearchName = None,
    top: Annotated[int, typer.Option(min=1, help="Number of best trials.")] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each trial.")] = 5,
    output: Output = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Train the best trials of a search again on other seeds, and print mean, spread and ties."""
    del ray_address
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.cli.live_display import watching
    from tauopt.workflows.reseed import reseed as run

    with progress() as display, watching(top * seeds) as on_event:
        result = run(
            search, top=top, seeds=seeds, output=output, progress=display, on_event=on_event
        )
    if json:
        print_json(asdict(result))
        return
    console = results()
    console.print(_table(result))
    if result.best_run_id:
        option = f" -o {output}" if output else ""
        console.print(
            f"promote: tauopt promote {result.best_run_id}{option}", markup=False, soft_wrap=True
        )


def _table(result: ReseedResult) -> Table:
    from rich.table import Table

    table = Table(
        title=f"search {result.search} on other seeds",
        caption="mean and standard deviation between seeds; the search's own training is left out",
    )
    for header in ("trial", "trainings", f"{result.objective}, mean", "deviation", "error", ""):
        table.add_column(header, justify="right")
    for index, spread in enumerate(result.spreads):
        word = "best" if index == 0 else "tie" if spread.is_tied else "worse"
        table.add_row(
            f"t{spread.number:03d}", str(len(spread.values)), f"{spread.mean:.5g}",
            f"{spread.deviation:.2g}", f"{spread.error:.2g}", word,
        )  # fmt: skip
    return table


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(reseed)
