"""`tauopt init`: write a first search space for a network and the user's dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json


def init(
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="Dataset file.")],
    model: Annotated[str, typer.Option(help="Network, from `tauopt models`.")] = "rnn",
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

    space = write_space(model, data, output=output)
    if json:
        print_json({"path": str(space.path), "network": space.network, "next": space.next})
        return
    typer.echo(f"wrote {space.path}: a search space of {space.network}")
    for command in space.next:
        typer.echo(f"next: {command}")


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(init)
