"""`tauopt score`: a model's scores for every entry of ntuples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def score(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Run id (its first letters will do), models:/NAME@champion, or a trial's folder.",
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(metavar="[SAMPLE=]FILE...", help="Ntuples that fit its dataset file."),
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder of the friend trees.")],
    default: Annotated[
        float, typer.Option(help="Score of candidates that are not selected or lack a feature.")
    ] = -1.0,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="CUT", help="A cut of the dataset file, on truth."),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="root (friend trees), hdf5 or parquet.")
    ] = "root",
    workers: Annotated[int, typer.Option(min=1, help="Files at a time.")] = 1,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write a model's scores and working points for ntuples, as friend trees of theirs."""
    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.score import score as write

    with progress() as told:
        done = write(
            model,
            files,
            to=to,
            default=default,
            leave_out=leave_out or (),
            format=format,
            workers=workers,
            output=output,
            progress=told,
        )
    if json:
        print_json([{**vars(one), "path": str(one.path), "to": str(one.to)} for one in done])
        return
    console = results()
    for one in done:
        if one.skipped:
            text = f"{one.to}: there already"
        else:
            lacking = f", {one.missing:,} lack a feature" if one.missing else ""
            text = (
                f"{one.to}: {one.entries:,} entries, {one.scored:,} of {one.candidates:,} "
                f"candidates scored{lacking}"
            )
        console.print(text, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(score)
