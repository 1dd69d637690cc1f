"""`tauopt sync`: bring what waits on disk to MLflow."""

from __future__ import annotations

import typer

from tauopt.cli.options import Json, Output


def sync(output: Output = None, json: Json = False) -> None:
    """Deliver records that MLflow has not got, and end the runs of drivers that are gone."""
    from dataclasses import asdict

    from tauopt.cli.console import print_json, progress, results
    from tauopt.workflows.sync import sync as bring

    with progress() as told:
        found = bring(output=output, progress=told)
    if json:
        print_json(asdict(found))
    else:
        lines = [f"{found.records} records of {found.runs} runs brought to MLflow"]
        if found.ended:
            lines.append(f"said to run, and nobody runs them: {', '.join(found.ended)}: killed now")
        if found.busy:
            lines.append(f"left alone, for somebody runs them: {', '.join(found.busy)}")
        for line in [*lines, found.undelivered]:
            if line:
                results().print(line, markup=False, soft_wrap=True)
    if found.undelivered:
        raise typer.Exit(4)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(sync)
