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
    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.backup import as_json
    from tauopt.workflows.backup import restore as bring

    with progress() as told:
        saved = bring(folder, output=output, progress=told)
    if json:
        print_json(as_json(saved))
        return
    line = f"{saved.files} files, {saved.bytes / 1e6:.1f} MB of {saved.folder} in {saved.output}"
    results().print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(restore)
