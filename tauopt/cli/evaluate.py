"""`tauopt evaluate`: figures and tables of a trial on data that no search has seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Efficiency, Json, Output

if TYPE_CHECKING:
    from tauopt.workflows.evaluate import Evaluation


def evaluate(
    trial: Annotated[
        str,
        typer.Argument(
            metavar="TRIAL",
            help="Run id (its first letters will do), models:/NAME@champion, or a trial's folder.",
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SAMPLE=]FILE",
            help="Ntuples that fit the trial's dataset file [default: its test split].",
        ),
    ] = None,
    select: Annotated[
        str, typer.Option("--select", metavar="EXPR", help="Keep candidates by their spectators.")
    ] = "",
    bins: Annotated[
        str,
        typer.Option(
            "--bins",
            metavar="NAMES",
            help="Spectators to draw against [default: pt,eta,mu,prongs,decay_mode].",
        ),
    ] = "",
    efficiency: Efficiency = None,
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            metavar="WHAT",
            help="Another trial, a CSV of scores, or a spectator (with FILEs a branch) of scores.",
        ),
    ] = "",
    importance: Annotated[
        int,
        typer.Option(
            "--importance",
            min=0,
            metavar="N",
            help="Candidates that features are permuted among; 0 leaves it out.",
        ),
    ] = 10_000,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder of the results [default: OUTPUT/evaluations/NAME]."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Draw and measure a trial on the sealed test split or other ntuples, against a reference."""
    from tauopt.cli.console import print_json, progress
    from tauopt.workflows.evaluate import evaluate as run
    from tauopt.workflows.evaluation_sources import efficiencies_of

    with progress() as listener:
        found = run(
            trial,
            files=files or (),
            select=select,
            bins=[name.strip() for name in bins.split(",") if name.strip()],
            efficiencies=efficiencies_of(efficiency or ()),
            reference=reference,
            importance=importance,
            to=to,
            output=output,
            progress=listener,
        )
    if json:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: Evaluation) -> None:
    from rich import box
    from rich.table import Table

    from tauopt.cli.console import results

    console = results()
    signal, background = found.candidates["signal"], found.candidates["background"]
    console.print(
        f"{found.name} on {found.sample}: {signal:,} signal, {background:,} background candidates",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE)
    table.add_column("candidates")
    table.add_column("metric")
    for column in (found.name, *((found.reference, "significance") if found.reference else ())):
        table.add_column(column, justify="right")
    for row in found.rows:
        cells = [row.candidates, row.metric, str(row.value)]
        if found.reference:
            cells.append(str(row.reference) if row.reference else "")
            cells.append("" if row.sigma is None else f"{row.sigma:+.1f} σ, {row.p_text}")
        table.add_row(*cells)
    console.print(table)
    console.print(f"figures and tables in {found.folder}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(evaluate)
