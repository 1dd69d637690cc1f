"""`tauopt gc`: remove the weights of trials that are not among the best."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output, SearchName


def gc(
    search: SearchName = None,
    keep: Annotated[int, typer.Option(min=1, help="Number of best trials that keep theirs.")] = 5,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them; else only list them.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Remove the weights of a search's trials outside the best; numbers and figures stay."""
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.gc import gc as collect

    with progress() as display:
        result = collect(search, keep=keep, remove=remove, output=output, progress=display)
    if json:
        items = [{**asdict(item), "files": list(map(str, item.files))} for item in result.items]
        print_json({**asdict(result), "items": items, "bytes": result.bytes})
        return
    say = results().print
    for trial, why in result.kept.items():
        say(f"{trial} stays: {why}", markup=False)
    for item in result.items:
        where = ", also in MLflow" if item.in_mlflow else ""
        pruned = ", pruned: can be continued and evaluated only with them" if item.pruned else ""
        say(f"{item.trial}: {item.bytes / 1e6:.1f} MB{where}{pruned}", markup=False)
    what = "removed" if result.removed else "would be removed: add --remove"
    say(f"{result.search}: {len(result.items)} trials, {result.bytes / 1e6:.1f} MB {what}")


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(gc)
