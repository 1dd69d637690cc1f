"""`tauopt backup`: copy studies, records, registry and artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="Folder of backups; gets one more.")],
    output: Output = None,
    json: Json = False,
) -> None:
    """Copy the output folder - studies, records, registry, artifacts - while searches may run."""
    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.backup import as_json
    from tauopt.workflows.backup import backup as copy

    with progress() as told:
        saved = copy(to, output=output, progress=told)
    if json:
        print_json(as_json(saved))
        return
    line = f"{saved.files} files, {saved.bytes / 1e6:.1f} MB of {saved.output} in {saved.folder}"
    results().print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(backup)
