"""`tauopt evaluate`: figures and tables of a trial on data that the search did not use."""

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
            help="Run id (its first letters suffice), models:/NAME@champion, or a trial's folder.",
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SAMPLE=]FILE",
            help="Ntuples with the branches of the trial's dataset file [default: its test split].",
        ),
    ] = None,
    select: Annotated[
        str,
        typer.Option("--select", metavar="EXPR", help="Cut on spectators; keeps what passes it."),
    ] = "",
    bins: Annotated[
        str,
        typer.Option(
            "--bins",
            metavar="NAMES",
            help="Spectators on the x axes of profiles [default: pt,eta,mu,prongs,decay_mode].",
        ),
    ] = "",
    efficiency: Efficiency = None,
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            metavar="WHAT",
            help="Another trial, a CSV of scores, or a spectator or branch (with FILEs) of scores.",
        ),
    ] = "",
    importance: Annotated[
        int,
        typer.Option(
            "--importance",
            min=0,
            metavar="N",
            help="Candidates for permutation importances; 0 leaves these out.",
        ),
    ] = 10_000,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder of the results [default: OUTPUT/evaluations/NAME]."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Evaluate a trial on the sealed test split or other ntuples, also against a reference."""
    from tauopt.cli.console import print_json, progress
    from tauopt.evaluation.evaluation_sources import efficiencies_of
    from tauopt.workflows.evaluate import evaluate as run

    with progress() as display:
        evaluation = run(
            trial,
            files=files or (),
            select=select,
            bins=[name.strip() for name in bins.split(",") if name.strip()],
            efficiencies=efficiencies_of(efficiency or ()),
            reference=reference,
            importance=importance,
            to=to,
            output=output,
            progress=display,
        )
    if json:
        print_json(evaluation.as_json())
    else:
        _print(evaluation)


def _print(evaluation: Evaluation) -> None:
    from rich import box
    from rich.table import Table

    from tauopt.cli.console import results

    console = results()
    signal, background = evaluation.candidates["signal"], evaluation.candidates["background"]
    console.print(
        f"{evaluation.name} on {evaluation.sample}: "
        f"{signal:,} signal, {background:,} background candidates",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE)
    table.add_column("candidates")
    table.add_column("metric")
    reference = evaluation.reference
    for column in (evaluation.name, *((reference, "significance") if reference else ())):
        table.add_column(column, justify="right")
    for row in evaluation.rows:
        cells = [row.candidates, row.metric, str(row.value)]
        if reference:
            cells.append(str(row.reference) if row.reference else "")
            cells.append("" if row.sigma is None else f"{row.sigma:+.1f} σ, {row.p_text}")
        table.add_row(*cells)
    console.print(table)
    console.print(f"figures and tables in {evaluation.folder}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(evaluate)
