"""`tauopt train`: train one network, without a search."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json, Output, Overrides

if TYPE_CHECKING:
    from tauopt.workflows.train import TrainResult


def train(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file.")],
    overrides: Overrides = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Put every range of the file at its default.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the run [default: the experiment's].")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Train one network and judge it on the validation split; run again, it goes on."""
    from tauopt.cli.console import print_json, progress
    from tauopt.workflows.train import train as run

    with progress() as told:
        trained = run(
            file,
            overrides=overrides or [],
            defaults=defaults,
            name=name,
            output=output,
            progress=told,
        )
    if json:
        print_json({**trained.result, "run_id": trained.run_id, "folder": str(trained.folder)})
    else:
        _print(trained, output)


def _print(trained: TrainResult, output: Path | None) -> None:
    from rich.table import Table

    from tauopt.cli.console import results

    console, result = results(), trained.result
    title = f"{trained.name}: validation split"
    table = Table("metric", "value", "68 % interval", title=title, title_justify="left")
    for metric, (value, low, high) in result["metrics"].items():
        sign = "> " if metric in result["limits"] else ""
        table.add_row(metric, f"{sign}{value:.5g}", f"{low:.5g} to {high:.5g}")
    console.print(table)
    place = [] if output is None else ["-o", str(output)]
    for line in (
        f"{result['parameters']:,} parameters, {result['candidates_seen']:,} candidates seen, "
        f"best at report {result['best_report']} of {result['reports']} ({result['ended']})",
        f"run {trained.run_id} in {trained.folder}",
        trained.undelivered,
        f"compare: {shlex.join(['tauopt', 'ui', *place])}",
        f"promote: {shlex.join(['tauopt', 'promote', trained.run_id, *place])}",
    ):
        if line:
            console.print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(train)
