"""`tauopt gc`: remove the weights of trials that nobody will ask for."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output, SearchName


def gc(
    search: SearchName = None,
    keep: Annotated[int, typer.Option(min=1, help="Trials that keep theirs, the best.")] = 5,
    remove: Annotated[
        bool, typer.Option("--remove", help="Do it; else it is only told what would go.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Remove the weights of a search's trials outside the best; numbers and figures stay."""
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.gc import gc as collect

    with progress() as told:
        found = collect(search, keep=keep, remove=remove, output=output, progress=told)
    if json:
        items = [{**asdict(one), "files": [str(path) for path in one.files]} for one in found.items]
        print_json({**asdict(found), "items": items, "bytes": found.bytes})
        return
    say = results().print
    for trial, why in found.kept.items():
        say(f"{trial} stays: {why}", markup=False)
    for item in found.items:
        where = ", also in MLflow" if item.in_mlflow else ""
        say(f"{item.trial}: {item.bytes / 1e6:.1f} MB{where}", markup=False)
    what = "removed" if found.removed else "would be removed: add --remove"
    say(f"{found.search}: {len(found.items)} trials, {found.bytes / 1e6:.1f} MB {what}")


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(gc)
