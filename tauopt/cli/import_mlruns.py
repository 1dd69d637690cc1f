"""`tauopt import-mlruns`: take in the runs of old MLflow folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def import_mlruns(
    folder: Annotated[Path, typer.Argument(metavar="MLRUNS", help="Folder of old runs.")],
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="MLflow experiment for all [default: the old names]."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Bring the runs of an old `mlruns` folder into the store that tauopt uses, each once."""
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.import_mlruns import import_mlruns as bring

    with progress() as told:
        found = bring(folder, experiment=experiment, output=output, progress=told)
    if json:
        print_json(asdict(found))
        return
    lines = [f"{found.runs} runs brought into {', '.join(found.experiments)}"]
    if found.already:
        lines.append(f"{found.already} were there already")
    if found.without_artifacts:
        lines.append(f"{found.without_artifacts} had no artifacts beside them in {folder}")
    for line in lines:
        results().print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("import-mlruns")(import_mlruns)
