"""`tauopt backup`: copy studies, records, registry and artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json, Output

if TYPE_CHECKING:
    from tauopt.workflows.backup import BackupResult


def backup(
    to: Annotated[
        Path, typer.Argument(metavar="TO", help="Folder of backups; the new one is a subfolder.")
    ],
    output: Output = None,
    json: Json = False,
) -> None:
    """Copy the output folder - studies, records, registry, artifacts - while searches may run."""
    from tauopt.cli.console import progress
    from tauopt.workflows.backup import backup as copy

    with progress() as display:
        result = copy(to, output=output, progress=display)
    show(result, source=result.output, target=result.folder, json=json)


def show(result: BackupResult, *, source: Path, target: Path, json: bool) -> None:
    """Print how many files were copied from `source` to `target`."""
    from tauopt.cli.console import print_json, results
    from tauopt.workflows.backup import as_json

    if json:
        print_json(as_json(result))
        return
    line = f"{result.files} files, {result.bytes / 1e6:.1f} MB of {source} in {target}"
    results().print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(backup)
