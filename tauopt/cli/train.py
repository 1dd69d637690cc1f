"""`tauopt train`: train one network, without a search or Ray."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json, Output, Overrides

if TYPE_CHECKING:
    from tauopt.workflows.single_training import TrainResult


def train(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Experiment file; none with --like.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Run id, models:/NAME@champion or folder of a trial: train with its settings and "
            "seed.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Dataset file in place of the experiment's own."),
    ] = None,
    overrides: Overrides = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Use the default of every range in the file.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the run [default: the experiment's, or that of RUN and data]."
        ),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Train one network and evaluate it on the validation split; the same command resumes it.

    With --like RUN --data FILE it trains the settings of a recorded trial on other data.
    """
    from tauopt.cli.console import progress
    from tauopt.workflows.train import train as run

    with progress() as display:
        result = run(
            file,
            like=like,
            data=data,
            overrides=overrides or [],
            defaults=defaults,
            name=name,
            output=output,
            progress=display,
        )
    print_training(result, output, json=json)


def print_training(trained: TrainResult, output: Path | None, *, json: bool) -> None:
    """Print the result of a training, as a table or as JSON."""
    from rich.table import Table

    from tauopt.cli.console import print_json, results

    if json:
        print_json({**trained.result, "run_id": trained.run_id, "folder": str(trained.folder)})
        return
    console, result = results(), trained.result
    title = f"{trained.name}: validation split"
    table = Table("metric", "value", "68 % interval", title=title, title_justify="left")
    for metric, (value, low, high) in result["metrics"].items():
        sign = "> " if metric in result["limits"] else ""
        table.add_row(metric, f"{sign}{value:.5g}", f"{low:.5g} to {high:.5g}")
    console.print(table)
    option = [] if output is None else ["-o", str(output)]
    for line in (
        f"{result['parameters']:,} parameters, {result['candidates_seen']:,} candidates seen, "
        f"best at report {result['best_report']} of {result['reports']} ({result['ended']})",
        f"run {trained.run_id} in {trained.folder}",
        trained.undelivered,
        f"compare: {shlex.join(['tauopt', 'ui', *option])}",
        f"promote: {shlex.join(['tauopt', 'promote', trained.run_id, *option])}",
    ):
        if line:
            console.print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(train)
