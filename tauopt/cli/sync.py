"""`tauopt sync`: send records that wait on disk to MLflow."""

from __future__ import annotations

import typer

from tauopt.cli.options import Json, Output


def sync(output: Output = None, json: Json = False) -> None:
    """Send records that are not in MLflow yet, and end the runs of drivers that died.

    Exits with 4 if MLflow did not take all records.
    """
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.sync import sync as send

    with progress() as display:
        result = send(output=output, progress=display)
    if json:
        print_json(asdict(result))
    else:
        lines = [f"{result.records} records of {result.runs} runs sent to MLflow"]
        if result.ended:
            lines.append(f"set to KILLED, since their drivers died: {', '.join(result.ended)}")
        if result.busy:
            lines.append(f"left alone, since their drivers run: {', '.join(result.busy)}")
        for line in [*lines, result.undelivered]:
            if line:
                results().print(line, markup=False, soft_wrap=True)
    if result.undelivered:
        raise typer.Exit(4)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(sync)
