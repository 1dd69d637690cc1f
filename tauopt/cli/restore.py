"""`tauopt restore`: bring a backup back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def restore(
    folder: Annotated[Path, typer.Argument(metavar="BACKUP", help="Folder that backup made.")],
    output: Output = None,
    json: Json = False,
) -> None:
    """Bring a backup back into an output folder that is not there yet."""
    from tauopt.cli.backup import show
    from tauopt.cli.console import progress
    from tauopt.workflows.backup import restore as bring

    with progress() as told:
        saved = bring(folder, output=output, progress=told)
    show(saved, of=saved.folder, at=saved.output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(restore)
