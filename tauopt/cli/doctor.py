"""`tauopt doctor`: check this machine, and name the remedy of each failure."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Json, Output

_MARKS = {"ok": "ok    ", "note": "note  ", "failed": "FAILED"}


def doctor(
    service: Annotated[
        bool, typer.Option("--service", help="Check a group's service instead of this machine.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Check versions, GPUs, MLflow, study storage and disk; name the remedy of each failure.

    Exits with 0 if all checks pass, 4 if a service fails, 1 if something else fails.
    """
    from dataclasses import asdict

    from tauopt.cli.console import print_json
    from tauopt.workflows.doctor import diagnose

    def say_wait(name: str) -> None:
        typer.echo(f"       waiting for {name} ...", err=True)

    findings = []
    for finding in diagnose(output=output, service=service, on_wait=say_wait):
        findings.append(finding)
        if not json:
            typer.echo(f"{_MARKS[finding.status]} {finding.name:<14} {finding.detail}")
    if json:
        print_json([asdict(finding) for finding in findings])
    failed = [finding for finding in findings if finding.status == "failed"]
    if failed:
        raise typer.Exit(4 if any(finding.service for finding in failed) else 1)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(doctor)
