"""`tauopt compare`: differences between trials, and their statistical significance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Efficiency, Json, Output

if TYPE_CHECKING:
    from tauopt.evaluation.comparison_report import ComparisonReport


def compare(
    trials: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN...", help="Run ids, models:/NAME@champion, or folders."),
    ],
    efficiency: Efficiency = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder of the results [default: OUTPUT/comparisons/NAMES]."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Compare trials with the first: settings, numbers with errors, curves, significances."""
    from tauopt.cli.console import print_json, progress
    from tauopt.evaluation.evaluation_sources import efficiencies_of
    from tauopt.workflows.compare import compare as run

    with progress() as display:
        report = run(
            trials,
            efficiencies=efficiencies_of(efficiency or ()),
            to=to,
            output=output,
            progress=display,
        )
    if json:
        print_json(report.as_json())
    else:
        _print(report)


def _print(report: ComparisonReport) -> None:
    from rich import box
    from rich.table import Table

    from tauopt.cli.console import results
    from tauopt.evaluation.comparison_report import cell, mcnemar_sentences, number_row

    console = results()
    base, *others = report.comparison.names
    signal, background = report.candidates["signal"], report.candidates["background"]
    console.print(
        f"{report.sample}: {signal:,} signal, {background:,} background candidates; differences "
        f"to {base}",
        markup=False,
        soft_wrap=True,
    )
    settings = Table(box=box.SIMPLE)
    for name in ("setting", *report.comparison.names):
        settings.add_column(name)
    for path, values in report.differences.items():
        settings.add_row(path, *map(cell, values))
    console.print(settings)
    numbers = Table(box=box.SIMPLE)
    for name in ("candidates", "metric"):
        numbers.add_column(name, no_wrap=True)
    numbers.add_column(base, justify="right")
    for name in others:
        for column in (name, "difference", "p"):
            numbers.add_column(column, justify="right")
    for line in report.comparison.lines:
        numbers.add_row(*number_row(line))
    console.print(numbers)
    console.print(mcnemar_sentences(report), markup=False, soft_wrap=True)
    console.print(f"report and figures in {report.folder}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(compare)
