"""`tauopt prepare`: make the prepared dataset, or find it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tauopt.cli.options import Json

if TYPE_CHECKING:
    from tauopt.dataset.prepared import PreparedDataset


def prepare(
    file: Annotated[Path, typer.Argument(help="Dataset or experiment file.")],
    json: Json = False,
) -> None:
    """Prepare a dataset: select, label, split, shuffle, fit constants; a second call finds it."""
    from tauopt.cli.console import print_json, progress
    from tauopt.workflows.prepare import prepare as make

    with progress() as told:
        prepared = make(file, progress=told)
    if json:
        print_json(_plain(prepared))
    else:
        _print(prepared)


def _plain(prepared: PreparedDataset) -> dict[str, Any]:
    manifest = prepared.manifest
    return {
        "folder": str(prepared.folder),
        "digest": manifest.digest,
        "splits": {
            name: {
                "candidates": split.candidates,
                "chunks": len(split.chunks),
                "counts": split.counts,
                "weights": split.weights,
            }
            for name, split in manifest.splits.items()
        },
        "dropped": manifest.dropped,
        "imputed": manifest.imputed,
        "bad_files": list(manifest.bad_files),
    }


def _print(prepared: PreparedDataset) -> None:
    from rich.table import Table

    from tauopt.cli.console import results
    from tauopt.dataset.manifest import SPLITS

    manifest, console = prepared.manifest, results()
    console.print(str(prepared.folder), markup=False, soft_wrap=True)
    table = Table("split", "chunks", *manifest.classes, "candidates")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in SPLITS:
        split = manifest.splits[name]
        counts = [str(split.counts[one]) for one in manifest.classes]
        table.add_row(name, str(len(split.chunks)), *counts, str(split.candidates))
    console.print(table)
    for what, reasons in (("left out", manifest.dropped), ("imputed", manifest.imputed)):
        for reason, count in reasons.items():
            console.print(f"{what}: {count} {reason}", markup=False)
    for problem in manifest.bad_files:
        console.print(f"file left out: {problem}", markup=False)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(prepare)
