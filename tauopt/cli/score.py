"""`tauopt score`: write a model's scores for every entry of ntuples."""

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
            help="Run id (its first letters suffice), models:/NAME@champion, or a trial's folder.",
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[SAMPLE=]FILE...", help="Ntuples with the branches of its dataset file."
        ),
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder of the friend trees.")],
    default: Annotated[
        float, typer.Option(help="Score of candidates that are not selected or lack a feature.")
    ] = -1.0,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            metavar="CUT",
            help="Cut of the dataset file to skip, such as one on truth.",
        ),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="root (friend trees), hdf5 or parquet.")
    ] = "root",
    workers: Annotated[int, typer.Option(min=1, help="Files scored at a time.")] = 1,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write a model's scores and working points for ntuples, as friend trees."""
    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.score import score as write

    with progress() as display:
        scored_files = write(
            model,
            files,
            to=to,
            default=default,
            leave_out=leave_out or (),
            format=format,
            workers=workers,
            output=output,
            progress=display,
        )
    if json:
        print_json([{**vars(f), "path": str(f.path), "to": str(f.to)} for f in scored_files])
        return
    console = results()
    for file in scored_files:
        if file.skipped:
            text = f"{file.to}: there already"
        else:
            lacking = f", {file.missing:,} lack a feature" if file.missing else ""
            text = (
                f"{file.to}: {file.entries:,} entries, {file.scored:,} of {file.candidates:,} "
                f"candidates scored{lacking}"
            )
        console.print(text, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(score)
