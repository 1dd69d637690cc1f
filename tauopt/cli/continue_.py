"""`tauopt continue`: train a pruned, early-stopped or interrupted trial on to its end."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output


def continue_training(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, models:/NAME@champion, or a trial's folder."),
    ],
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Number of epochs in all [default: the trial's]."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the new run [default: SEARCH-TRIAL-continued]."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Train a pruned or early-stopped trial on from its last checkpoint, as a run of its own.

    Its weights are those of a training that was never stopped; the trial stays as it is. The same
    command resumes it.
    """
    from tauopt.cli.console import progress
    from tauopt.cli.train import print_training
    from tauopt.workflows.continue_training import continue_training as train_on

    with progress() as display:
        result = train_on(run, epochs=epochs, name=name, output=output, progress=display)
    print_training(result, output, json=json)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("continue")(continue_training)
