"""`tauopt reproduce`: train a trial again from its record, and compare the two."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output
from tauopt.errors import DataError


def reproduce(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, models:/NAME@champion, or a trial's folder."),
    ],
    output: Output = None,
    json: Json = False,
) -> None:
    """Train a trial again from its record, and print the differences from the recorded one.

    Exits with 0 if the two are equal within the rounding of different processors, else with 3.
    """
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.reproduce import reproduce as train_again

    with progress() as display:
        result = train_again(run, output=output, progress=display)
    if json:
        print_json({**asdict(result), "folder": str(result.folder), "outcome": result.outcome})
    else:
        say = results().print
        say(f"{result.name}: reproduced {result.outcome}", markup=False)
        say(
            f"{result.objective}: {result.recorded:.8g} recorded, {result.found:.8g} now "
            f"(tolerance {result.tolerance:.2g}); largest difference of a weight "
            f"{result.weights_apart:.2g}",
            markup=False,
            soft_wrap=True,
        )
        if result.code["then"] != result.code["now"]:
            say(f"tauopt was {result.code['then']}, is {result.code['now']}", markup=False)
        if result.method["then"] != result.method["now"]:
            say(
                f"its training method was {result.method['then']}, is {result.method['now']}: "
                "other weights are expected, see the changelog",
                markup=False,
                soft_wrap=True,
            )
    if result.outcome == "differs":
        raise typer.Exit(DataError.exit_code)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(reproduce)
