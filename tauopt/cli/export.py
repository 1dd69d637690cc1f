"""`tauopt export`: a model as files for other software."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Run id (its first letters suffice), models:/NAME@champion, or a trial's folder.",
        ),
    ],
    to: Annotated[
        Path | None, typer.Option("--to", help="New folder [default: OUTPUT/exports/NAME].")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare it with the Keras model on the test split.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write a model as ONNX and Keras files, with a description of how to fill its inputs."""
    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.export import export as write

    with progress() as display:
        exported = write(model, to=to, check=check, output=output, progress=display)
    comparison = exported.check
    if json:
        files = {kind: str(path) for kind, path in exported.files.items()}
        print_json({"files": files, "check": comparison.as_json() if comparison else None})
        return
    console = results()
    for path in exported.files.values():
        console.print(str(path), markup=False, soft_wrap=True)
    if comparison is not None:
        speeds = f"ONNX Runtime {comparison.onnx_per_s:,.0f}, Keras {comparison.keras_per_s:,.0f}"
        text = (
            f"largest difference from Keras {comparison.largest:.1e} on {comparison.candidates:,} "
            f"candidates; on one core {speeds} candidates/s"
        )
        console.print(text, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(export)
