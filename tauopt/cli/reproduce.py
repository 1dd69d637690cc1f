"""`tauopt reproduce`: does a trial come out the same from its record alone?"""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output
from tauopt.errors import DataError


def reproduce(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, models:/NAME@champion, or a folder.")
    ],
    output: Output = None,
    json: Json = False,
) -> None:
    """Train a trial again from its record, and show how far the two are apart.

    Exits 0 if they are equal, or apart by less than other processors round; else 3.
    """
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.reproduce import reproduce as train_again

    with progress() as told:
        found = train_again(run, output=output, progress=told)
    if json:
        print_json({**asdict(found), "folder": str(found.folder), "outcome": found.outcome})
    else:
        say = results().print
        say(f"{found.name}: reproduced {found.outcome}", markup=False)
        say(
            f"{found.objective}: {found.recorded:.8g} recorded, {found.found:.8g} now "
            f"(within {found.tolerance:.2g}); largest difference of a weight "
            f"{found.weights_apart:.2g}",
            markup=False,
            soft_wrap=True,
        )
        if found.code["then"] != found.code["now"]:
            say(f"tauopt was {found.code['then']}, is {found.code['now']}", markup=False)
        if found.method["then"] != found.method["now"]:
            say(
                f"its training method was {found.method['then']}, is {found.method['now']}: "
                "other weights are expected, see the changelog",
                markup=False,
                soft_wrap=True,
            )
    if found.outcome == "differs":
        raise typer.Exit(DataError.exit_code)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(reproduce)
