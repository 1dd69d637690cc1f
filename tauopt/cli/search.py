"""`tauopt search`: run a hyperparameter search, show it live, and print the next steps."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tauopt.cli.options import AcceptChanges, Json, Output, Overrides, RayAddress

if TYPE_CHECKING:
    from tauopt.workflows.search import DryRun, SearchResult

_REASONS = {
    "best": "the lowest loss is recommended",
    "cheapest": "the fewest parameters is recommended",
}


def search(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file with ranges.")],
    overrides: Overrides = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the search [default: the experiment's name]."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the search of that name.")
    ] = False,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEARCH",
            help="Earlier search whose best points are tried first; may be repeated.",
        ),
    ] = None,
    output: Output = None,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, help="Total number of trials; overrides the file."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done; write nothing.")
    ] = False,
    accept_changes: AcceptChanges = False,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Search the ranges of an experiment: train trials, stop poor ones early, rank the rest."""
    del ray_address
    all_overrides = [*(overrides or []), *([f"search.trials={trials}"] if trials else [])]
    if dry_run:
        _preview(file, all_overrides, output=output, warm_start=warm_start or [], json=json)
        return
    from tauopt.cli.console import progress
    from tauopt.cli.live_display import watching
    from tauopt.workflows.search import search as run

    with progress() as display, watching(trials) as on_event:
        result = run(
            file,
            overrides=all_overrides,
            name=name,
            output=output,
            resume=resume,
            accept_changes=accept_changes,
            warm_start=warm_start or [],
            progress=display,
            on_event=on_event,
        )
    show(result, output, json=json)


def show(result: SearchResult, output: Path | None, *, json: bool) -> None:
    """Print the result of a search, and the commands of the next steps."""
    from tauopt.cli.console import print_json

    if json:
        print_json(_plain(result, output))
    else:
        _print(result, output)


def _preview(
    file: Path, overrides: list[str], *, output: Path | None, warm_start: list[str], json: bool
) -> None:
    import os

    from tauopt.cli.console import print_json, progress
    from tauopt.workflows.search import dry_run

    # The network is built only to count its parameters: leave the GPUs to running trainings.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

    with progress() as display:
        preview = dry_run(
            file, overrides=overrides, output=output, warm_start=warm_start, progress=display
        )
    if json:
        print_json({**vars(preview), "trials": [asdict(trial) for trial in preview.trials]})
    else:
        _print_preview(preview)


def _promote(result: SearchResult, output: Path | None) -> str:
    """Return the command that promotes the best trial; empty if there is none."""
    if result.best is None or not result.best.run_to_promote:
        return ""
    return _command("promote", result.best.run_to_promote, output=output)


def _command(*words: str, output: Path | None) -> str:
    option = [] if output is None else ["-o", str(output)]
    return shlex.join(["tauopt", *words, *option])


def _plain(result: SearchResult, output: Path | None) -> dict[str, Any]:
    return {
        "name": result.name,
        "why": result.why,
        "objectives": [goal._asdict() for goal in result.goals],
        "folder": str(result.folder),
        "report": str(result.report or ""),
        "trials": [row.as_json() for row in result.board],
        "edges": result.edges,
        "best_run_id": result.best.run_to_promote if result.best else "",
        "promote": _promote(result, output),
        "undelivered": result.undelivered,
    }


def _print(result: SearchResult, output: Path | None) -> None:
    from tauopt.cli.console import results
    from tauopt.cli.leaderboard_table import board_table

    console = results()
    title = f"search {result.name}"
    console.print(board_table(result.board, result.goals, title=title, width=console.width))
    console.print(f"{result.name}: {result.why}", markup=False)
    if result.undelivered:
        console.print(result.undelivered, markup=False, soft_wrap=True)
    for line in next_steps(result, output):
        console.print(line, markup=False, soft_wrap=True)


def next_steps(result: SearchResult, output: Path | None) -> list[str]:
    """Return the next steps as lines: report, ranges to widen, and commands to go on with."""
    lines = [f"report: {result.report}"] if result.report else []
    if result.edges:
        more = f" (and {len(result.edges) - 1} more ranges)" if len(result.edges) > 1 else ""
        lines.append(f"space: {result.edges[0]}{more}")
    lines.append(f"compare: {_command('ui', output=output)}")
    lines += _on_ties(result, output)
    promote = _promote(result, output)
    if result.best is None and (broken := [row for row in result.board if row.broken]):
        nearest = f"t{broken[0].number:03d}: {'; '.join(broken[0].broken)}"
        lines.append(f"no complete trial keeps all constraints, so none is recommended; {nearest}")
    if promote and len(result.goals) > 1:
        members = sum(row.front == 1 for row in result.board)
        trials = f"{members} trials" if members > 1 else "1 trial"
        lines.append(f"the front has {trials}; this is the best in {result.goals[0].name}:")
    return [*lines, f"promote: {promote}"] if promote else lines


def _on_ties(result: SearchResult, output: Path | None) -> list[str]:
    """Return lines on which trials can't be told from the best, and on what confirmed them."""
    board, best = result.board, result.best
    tied = sum(row.tied for row in board)
    command = _command("confirm", result.name, output=output)
    if best is None or best.confirmed is None:
        if best is not None and result.confirm is not None:
            return [_why_not_confirmed(result, output, command)]
        if not tied:
            return []
        complete = sum(row.rank > 0 for row in board)
        return [
            f"{tied} of {complete} complete trials are tied with the best, within the errors of "
            "their differences; of these the one with the lowest loss comes first; "
            f"trained again on other seeds, they are told apart better: {command}"
        ]
    known = best.confirmed
    points = sum(row.confirmed is not None for row in board)
    were = f"{points} points were" if points > 1 else "1 point was"
    why = _REASONS[result.confirm.prefer if result.confirm else "best"]
    ties = f", of which {tied} stay tied; the one with {why}" if tied else ""
    return [
        f"{were} trained again on other seeds{ties}: t{best.number:03d} with a mean of "
        f"{known.value:.4g} (68 %: {known.low:.4g} to {known.high:.4g}), which is the value to "
        f"believe; promoted is t{known.chosen:03d}, its training with the lowest loss"
    ]


def _why_not_confirmed(result: SearchResult, output: Path | None, command: str) -> str:
    failed = [row for row in result.board if row.confirms is not None and row.state == "FAIL"]
    if failed:
        return (
            f"the best points are not confirmed: {len(failed)} of their trainings on other seeds "
            f"failed, t{failed[0].number:03d} with: {failed[0].reason}; once more: {command}"
        )
    more = _command("extend", result.name, "--hours", "H", output=output)
    return f"the best points are not confirmed: {result.why}; raise it ({more}), then: {command}"


def _print_preview(preview: DryRun) -> None:
    from tauopt.cli.console import results
    from tauopt.config.source.yaml_text import plain_text

    console = results()

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    say("# configuration, every range at its default")
    say(plain_text(dict(preview.configuration)).rstrip())
    say("# ranges")
    for path, text in preview.space.items():
        say(f"{path}: {text}")
    unknown = "known after the simulation"
    say(f"# branches read: {len(preview.branches) or unknown}")
    say(", ".join(preview.branches))
    say("# candidates by split and class" + ("" if preview.counts else f": {unknown}"))
    for split, counts in preview.counts.items():
        say(f"{split}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    for line in preview.precision:
        say(line)
    if preview.warm_start:
        say("# warm start")
    for line in preview.warm_start:
        say(line)
    for number, trial in enumerate(preview.trials):
        say(f"# trial {number} ({trial})")
        say(plain_text(dict(trial.params)).rstrip())
    say(f"# network of trial 0: {preview.parameters} parameters")
    say(preview.summary)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(search)
