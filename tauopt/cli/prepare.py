"""`tauopt prepare`: make a prepared dataset, or find the one made earlier."""

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
"""Columns of `sizes.json` that are printed."""


def prepare(
    file: Annotated[Path, typer.Argument(help="Dataset or experiment file.")],
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="FOLDER", help="Draw figures of the training split."),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Log the fitted constants and the figures to MLflow.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="FORMAT", help="Also write the chunks as root, hdf5 or parquet."
        ),
    ] = None,
    to_folder: Annotated[
        Path, typer.Option("--to-folder", metavar="FOLDER", help="Folder for --to.")
    ] = Path("converted"),
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that read files [default: by file size]."),
    ] = None,
    discard_extracts: Annotated[
        bool,
        typer.Option(
            "--discard-extracts",
            help="Keep only the chunks: after files are added, all files are read again.",
        ),
    ] = False,
    output: Output = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Prepare a dataset (select, label, split, shuffle, fit constants), or find an earlier one."""
    del ray_address
    from tauopt.cli.console import print_json, progress
    from tauopt.workflows.objective_precision import lines_of_file
    from tauopt.workflows.prepare import check_format, convert, kept
    from tauopt.workflows.prepare import prepare as make
    from tauopt.workflows.record_dataset import draw_and_log

    with progress() as display, resumable("files that were read completely are kept"):
        if to:
            check_format(to)
        prepared = make(file, progress=display, workers=workers)
        shown = draw_and_log(
            prepared, file=file, figures=figures, log=log, output=output, progress=display
        )
        if to:
            files = convert(prepared, to=to, folder=to_folder, progress=display)
            shown["converted"] = f"{len(files)} files in {to_folder}"
    extracts = kept(prepared, discard=discard_extracts)
    precision = lines_of_file(file, prepared)
    if json:
        kept_files = extracts._asdict() | {"folder": str(extracts.folder)}
        print_json(_plain(prepared) | {"extracts": kept_files, "precision": precision} | shown)
    else:
        _print(prepared)
        if extracts.files:
            shown["extracts"] = (
                f"{extracts.files} in {extracts.folder}, {extracts.bytes / 1e6:.1f} MB: with them, "
                "only new files are read next time (--discard-extracts removes them)"
            )
        for what, where in shown.items():
            typer.echo(f"{what}: {where}")
        for line in precision:
            typer.echo(line)


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
        content = manifest.splits[split]
        counts = [str(content.counts[label]) for label in manifest.classes]
        table.add_row(split, str(len(content.chunks)), *counts, str(content.candidates))
    console.print(table)
    if "sizes.json" in manifest.reports:
        _print_samples(prepared.report("sizes.json")["columns"], console)
    if manifest.resampled is not None:
        _print_resampled(manifest.resampled, console)
    if "validation.json" in manifest.reports:
        validation = prepared.report("validation.json")
        tests, smallest = validation["tests"], validation["smallest_adjusted_p"]
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
    """Print the candidates that were left out: counts for each sample, and for each reason."""
    from tauopt.prepare.left_out import MISSING, lines

    for line in lines(manifest.left_out):
        console.print(f"left out of {line}", markup=False, soft_wrap=True)
    # Counts of missing features are totals of all samples, and so are all counts of older datasets.
    for reason, count in manifest.dropped.items():
        if not manifest.left_out or reason.startswith(f"{MISSING} "):
            console.print(f"left out: {count} {reason}", markup=False)


def _print_samples(columns: dict[str, list[Any]], console: Console) -> None:
    """Print what each sample contributes to the training split, summed over bins."""
    from rich.table import Table

    totals: dict[tuple[str, str], list[float]] = {}
    rows = zip(*(columns[name] for name in _SIZES), strict=True)
    for split, sample, label, *numbers in rows:
        if split == "train":
            total = totals.setdefault((sample, label), [0.0] * len(numbers))
            totals[sample, label] = [a + b for a, b in zip(total, numbers, strict=True)]
    table = Table("train: sample", "class", "candidates", "weights", "balanced")
    for column in table.columns[2:]:
        column.justify = "right"
    for (sample, label), (candidates, weights, balanced) in totals.items():
        table.add_row(sample, label, f"{candidates:.0f}", f"{weights:.6g}", f"{balanced:.6g}")
    console.print(table)


def _print_resampled(resampled: Resampled, console: Console) -> None:
    """Print how many training candidates each class had, and how many were drawn from them."""
    from rich.table import Table

    table = Table("train: class", "available", "different drawn", "drawn")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, before in resampled.before.items():
        different, drawn = resampled.different[name], resampled.drawn[name]
        table.add_row(name, str(before), str(different), str(drawn))
    console.print(table)
    console.print(f"most frequent candidate: drawn {resampled.most} times")


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(prepare)
