"""`tauopt promote`: evaluate a trial on the sealed test split, and make it the champion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json, Output

if TYPE_CHECKING:
    from tauopt.promotion.verdict import Verdict


def promote(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN-ID", help="Run id of a trial; its first letters suffice."),
    ],
    force: Annotated[
        bool,
        typer.Option("--force", help="Promote although its metrics are refused; this is recorded."),
    ] = False,
    working_points: Annotated[
        Path | None,
        typer.Option(help="Experiment file with the working points for the model and champion."),
    ] = None,
    gate: Annotated[
        Path | None,
        typer.Option(help="File of the promotion gate [default: the gate of the experiment]."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Evaluate a trial on the sealed test split, register it, and make it the champion."""
    from tauopt.cli.console import progress
    from tauopt.errors import PromotionRefused
    from tauopt.workflows.promote import promote as judge_and_register

    try:
        with progress() as display:
            verdict = judge_and_register(
                run,
                force=force,
                working_points=working_points,
                gate=gate,
                output=output,
                progress=display,
            )
    except PromotionRefused as refusal:
        refused: Verdict | None = getattr(refusal, "verdict", None)
        if refused is not None:
            _show(refused, json)
        raise
    _show(verdict, json)


def _show(verdict: Verdict, json: bool) -> None:
    from tauopt.cli.console import print_json, results

    if json:
        print_json(verdict.as_json())
        return
    console = results()
    signal, background = verdict.candidates["signal"], verdict.candidates["background"]
    console.print(
        f"{verdict.run_name} on the test split of {verdict.dataset}: "
        f"{signal:,} signal, {background:,} background candidates",
        soft_wrap=True,
    )
    console.print(_metrics_table(verdict))
    if verdict.latency_sentence:
        console.print(verdict.latency_sentence, soft_wrap=True)
    if verdict.checks:
        console.print(_gate_table(verdict))
    values = verdict.validation
    console.print(
        f"validation {verdict.objective}: {values['found']:.6g} now, "
        f"{values['recorded']:.6g} recorded (tolerance {values['tolerance']:.2g})"
    )
    if verdict.splits_sentence:
        console.print(verdict.splits_sentence, soft_wrap=True, markup=False)
    console.print(f"verdict: {verdict.outcome}: {verdict.reason}", soft_wrap=True)
    if verdict.promoted:
        forced = " (by force)" if verdict.forced else ""
        console.print(f"{verdict.model} version {verdict.version} is the champion{forced}")
        console.print(f"model address: models:/{verdict.model}@champion")


def _metrics_table(verdict: Verdict) -> object:
    from rich import box
    from rich.table import Table

    from tauopt.metrics.estimate import shown

    table = Table(box=box.SIMPLE)
    table.add_column("metric")
    table.add_column("this trial", justify="right")
    if verdict.champion_test:
        table.add_column(f"champion (version {verdict.champion['version']})", justify="right")
    for name, triple in verdict.test.items():
        row = [name, shown(triple)]
        if verdict.champion_test:
            other = verdict.champion_test.get(name)
            row.append(shown(other) if other else "")
        table.add_row(*row, style="bold" if name == verdict.objective else "")
    return table


def _gate_table(verdict: Verdict) -> object:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    table.add_column("check", no_wrap=True)
    for name in ("this trial", "champion", "change", "p", "required", "passed"):
        table.add_column(name)
    for check in verdict.checks:
        table.add_row(*check.row, style="" if check.passed else "bold")
    return table


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(promote)
