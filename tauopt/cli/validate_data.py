"""`tauopt validate-data`: check the chunks of a prepared dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json


def validate_data(
    source: Annotated[
        Path, typer.Argument(help="Folder of a prepared dataset, or a dataset or experiment file.")
    ],
    figures: Annotated[
        Path | None,
        typer.Option(help="Draw figures of the p-values.", metavar="FOLDER"),
    ] = None,
    json: Json = False,
) -> None:
    """Check a prepared dataset: digests, and whether each chunk is a random sample of its split."""
    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.validate_data import draw_validation
    from tauopt.workflows.validate_data import validate_data as check

    with progress() as display:
        prepared, validation = check(source, progress=display)
    if figures is not None and validation.comparisons:
        draw_validation(prepared, validation, figures)
    if json:
        print_json({"folder": str(prepared.folder), **validation.plain()})
    else:
        console = results()
        console.print(str(prepared.folder), markup=False, soft_wrap=True)
        for split, sizes in validation.sizes.items():
            console.print(f"{split}: {sum(sizes.values())} candidates in {len(sizes)} parts")
        if prepared.is_direct:
            console.print("digests agree; chunks are streamed directly and not compared")
            return
        console.print(
            f"{len(validation.comparisons)} tests, smallest p {validation.smallest:.2g} "
            "after Holm's correction",
            markup=False,
        )
    validation.check(str(prepared.folder))


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("validate-data")(validate_data)
