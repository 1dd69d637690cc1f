"""`tauopt backup`: copy studies, records, registry and artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json, Output

if TYPE_CHECKING:
    from tauopt.workflows.backup import BackupResult


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="Folder of backups; gets one more.")],
    output: Output = None,
    json: Json = False,
) -> None:
    """Copy the output folder - studies, records, registry, artifacts - while searches may run."""
    from tauopt.cli.console import progress
    from tauopt.workflows.backup import backup as copy

    with progress() as told:
        saved = copy(to, output=output, progress=told)
    show(saved, of=saved.output, at=saved.folder, json=json)


def show(saved: BackupResult, *, of: Path, at: Path, json: bool) -> None:
    """Print what was copied from where to where."""
    from tauopt.cli.console import print_json, results
    from tauopt.workflows.backup import as_json

    if json:
        print_json(as_json(saved))
        return
    line = f"{saved.files} files, {saved.bytes / 1e6:.1f} MB of {of} in {at}"
    results().print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(backup)
