"""`tauopt prepare`: make the prepared dataset, or find it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tauopt.cli.interruptible import resumable
from tauopt.cli.options import Json, Output, RayAddress

if TYPE_CHECKING:
    from rich.console import Console

    from tauopt.dataset.manifest import Manifest, Resampled
    from tauopt.dataset.prepared_dataset import PreparedDataset


_SIZES = ("split", "sample", "class", "candidates", "weights", "balanced")
"""Columns of the size table that are shown."""


def prepare(
    file: Annotated[Path, typer.Argument(help="Dataset or experiment file.")],
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="FOLDER", help="Draw the training split into a folder."),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Log constants and figures to MLflow.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="FORMAT", help="Write chunks as root, hdf5 or parquet too."),
    ] = None,
    to_folder: Annotated[
        Path, typer.Option("--to-folder", metavar="FOLDER", help="Where --to writes.")
    ] = Path("converted"),
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that read files [default: by their size]."),
    ] = None,
    discard_extracts: Annotated[
        bool,
        typer.Option(
            "--discard-extracts", help="Keep the chunks alone: added files read all files anew."
        ),
    ] = False,
    output: Output = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Prepare a dataset: select, label, split, shuffle, fit constants; a second call finds it."""
    del ray_address
    from tauopt.cli.console import print_json, progress
    from tauopt.workflows.convert_dataset import check_format, convert
    from tauopt.workflows.prepare import kept
    from tauopt.workflows.prepare import prepare as make
    from tauopt.workflows.record_dataset import present

    with progress() as told, resumable("files that were read whole are kept"):
        if to:
            check_format(to)
        prepared = make(file, progress=told, workers=workers)
        shown = present(prepared, file=file, figures=figures, log=log, output=output, progress=told)
        if to:
            files = convert(prepared, to=to, folder=to_folder, progress=told)
            shown["converted"] = f"{len(files)} files in {to_folder}"
    extracts = kept(prepared, discard=discard_extracts)
    if json:
        held = extracts._asdict() | {"folder": str(extracts.folder)}
        print_json(_plain(prepared) | {"extracts": held} | shown)
    else:
        _print(prepared)
        if extracts.files:
            shown["extracts"] = (
                f"{extracts.files} in {extracts.folder}, {extracts.bytes / 1e6:.1f} MB: with them "
                "added files are read alone (--discard-extracts removes them)"
            )
        for what, where in shown.items():
            typer.echo(f"{what}: {where}")


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
        "left_out": manifest.left_out,
        "imputed": manifest.imputed,
        "negative_weights": manifest.negative_weights,
        "resampled": manifest.resampled and manifest.resampled.model_dump(),
        "reports": {name: str(prepared.folder / name) for name in manifest.reports},
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
    for split in SPLITS:
        held = manifest.splits[split]
        counts = [str(held.counts[one]) for one in manifest.classes]
        table.add_row(split, str(len(held.chunks)), *counts, str(held.candidates))
    console.print(table)
    if "sizes.json" in manifest.reports:
        _print_samples(prepared.report("sizes.json")["columns"], console)
    if manifest.resampled is not None:
        _print_resampled(manifest.resampled, console)
    if "validation.json" in manifest.reports:
        compared = prepared.report("validation.json")
        tests, smallest = compared["tests"], compared["smallest_adjusted_p"]
        console.print(f"chunks compared: {tests} tests, smallest p {smallest:.2g} after Holm")
    _print_left_out(manifest, console)
    for reason, count in manifest.imputed.items():
        console.print(f"imputed: {count} {reason}", markup=False)
    for label, count in manifest.negative_weights.items():
        if count:
            console.print(f"negative weights: {count} of class {label}", markup=False)
    for problem in manifest.bad_files:
        console.print(f"file left out: {problem}", markup=False)


def _print_left_out(manifest: Manifest, console: Console) -> None:
    """Show what was left out by sample, and of older datasets, and missing features, in all."""
    from tauopt.prepare.left_out import MISSING, lines

    for line in lines(manifest.left_out):
        console.print(f"left out of {line}", markup=False, soft_wrap=True)
    for reason, count in manifest.dropped.items():
        if not manifest.left_out or reason.startswith(f"{MISSING} "):
            console.print(f"left out: {count} {reason}", markup=False)


def _print_samples(columns: dict[str, list[Any]], console: Console) -> None:
    """Show what each sample gives to training: its bins of each class added up."""
    from rich.table import Table

    totals: dict[tuple[str, str], list[float]] = {}
    rows = zip(*(columns[name] for name in _SIZES), strict=True)
    for part, sample, label, *numbers in rows:
        if part == "train":
            found = totals.setdefault((sample, label), [0.0] * len(numbers))
            totals[sample, label] = [a + b for a, b in zip(found, numbers, strict=True)]
    table = Table("train: sample", "class", "candidates", "weights", "balanced")
    for column in table.columns[2:]:
        column.justify = "right"
    for (sample, label), (candidates, weights, balanced) in totals.items():
        table.add_row(sample, label, f"{candidates:.0f}", f"{weights:.6g}", f"{balanced:.6g}")
    console.print(table)


def _print_resampled(found: Resampled, console: Console) -> None:
    """Show how many training candidates of each class there were, and how many were drawn."""
    from rich.table import Table

    table = Table("train: class", "there were", "different drawn", "drawn")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, before in found.before.items():
        table.add_row(name, str(before), str(found.different[name]), str(found.drawn[name]))
    console.print(table)
    console.print(f"drawn most often: {found.most} times")


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(prepare)
