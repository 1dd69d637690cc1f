"""`tauopt init`: a first search space for a network and one's own dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json


def init(
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="Dataset file.")],
    model: Annotated[str, typer.Option(help="The network, as `tauopt models` lists them.")] = "rnn",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write [default: MODEL.yaml]."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a commented search space for a network and your own dataset file.

    For ntuples without one, `tauopt inspect --init` proposes a dataset file.
    """
    from tauopt.cli.console import print_json
    from tauopt.workflows.init import init as write_space

    begun = write_space(model, data, output=output)
    if json:
        print_json({"path": str(begun.path), "network": begun.network, "next": begun.next})
        return
    typer.echo(f"wrote {begun.path}: a search space of {begun.network}")
    for command in begun.next:
        typer.echo(f"next: {command}")


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(init)
