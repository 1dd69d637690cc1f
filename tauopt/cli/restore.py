"""`tauopt restore`: restore an output folder from a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="Folder that `tauopt backup` made.")
    ],
    output: Output = None,
    json: Json = False,
) -> None:
    """Restore a backup into a new output folder."""
    from tauopt.cli.backup import show
    from tauopt.cli.console import progress
    from tauopt.workflows.backup import restore as copy_back

    with progress() as display:
        result = copy_back(folder, output=output, progress=display)
    show(result, source=result.folder, target=result.output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(restore)
