"""`tauopt replay`: play a recorded search again with other rules, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tauopt.cli.options import Json, Output

if TYPE_CHECKING:
    from tauopt.workflows.replay import PlayedRules, Replay


def replay(
    search: Annotated[
        str | None,
        typer.Argument(
            metavar="[SEARCH]",
            help="Name of a search, or a table of curves (.npz) [default: the latest search].",
        ),
    ] = None,
    objective: Annotated[
        str | None, typer.Option("--objective", help="Metric by which trials are ranked.")
    ] = None,
    monitor: Annotated[
        str | None,
        typer.Option("--monitor", help="Chooses the best report: loss, band, objective."),
    ] = None,
    tied: Annotated[
        float | None, typer.Option("--tied", min=0, help="Errors within which trials are tied.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="Sampler, such as tpe; on a surrogate.")
    ] = None,
    pruner: Annotated[str | None, typer.Option("--pruner", help="Pruner, such as racing.")] = None,
    confirm: Annotated[
        int | None, typer.Option("--confirm", min=0, help="Tied trials to train again.")
    ] = None,
    repeated: Annotated[
        bool, typer.Option("--repeated", help="Use only points that were trained several times.")
    ] = False,
    sample: Annotated[
        str, typer.Option("--sample", help="Beginning of the names of validation samples.")
    ] = "",
    judge: Annotated[str, typer.Option("--judge", help="Metric by which choices are judged.")] = "",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Searches of each rules.")] = 20,
    trials: Annotated[
        int, typer.Option("--trials", min=0, help="Trials of each search [default: all points].")
    ] = 0,
    to: Annotated[Path | None, typer.Option("--to", help="Folder of the figure.")] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Play a recorded search again with other rules: what would have been chosen, and how soon."""
    from tauopt.cli.console import print_json, progress
    from tauopt.workflows.replay import replay as run

    asked = {
        "objective": objective, "monitor": monitor, "tied": tied, "sampler": sampler,
        "pruner": pruner, "top": confirm,
    }  # fmt: skip
    given = {name: value for name, value in asked.items() if value is not None}
    with progress() as display:
        result = run(
            search,
            asked=given,
            repeated=repeated,
            sample=sample,
            judge=judge,
            seeds=seeds,
            trials=trials,
            output=output,
            to=to,
            progress=display,
        )
    if json:
        print_json(_plain(result))
    else:
        _print(result)


def _plain(result: Replay) -> dict[str, Any]:
    return {
        "search": result.name,
        "metric": result.metric,
        "samples": list(result.samples),
        "judged_on_independent_sample": result.has_truth,
        "full_training_candidates": result.full_training,
        "surrogate_error": result.surrogate_error,
        "rules": [_plain_rules(each, result.full_training) for each in result.played],
        "recommended": _settings(result.best),
        "files": [str(path) for path in result.files],
    }


def _plain_rules(played: PlayedRules, full: float) -> dict[str, Any]:
    course = played.course
    return {
        "name": played.rules.name,
        "full_trainings": float(course.candidates[-1]) / full,
        "within": [None if spent is None else spent / full for spent in course.within],
        "regret": float(course.mean[-1]),
        "quartiles": [float(course.low[-1]), float(course.high[-1])],
        "told_less_truth": course.told_less_truth,
        "told_less_truth_in_errors": course.curse,
    }


def _print(result: Replay) -> None:
    from rich.table import Table

    from tauopt.cli.console import results
    from tauopt.config.source.yaml_text import plain_text

    console = results()
    table = Table(
        "rules", "trainings", "within 5 %", "3 %", "1 %", "below best (quartiles)", "told - true",
        title=f"{result.name} played again, judged by {result.metric}", title_justify="left",
    )  # fmt: skip
    for each in result.played:
        course, full = each.course, result.full_training
        one, three, five = (
            "never" if spent is None else f"{spent / full:.0f}" for spent in course.within
        )
        ends = f"{100 * course.low[-1]:.1f} to {100 * course.high[-1]:.1f}"
        told = f"{100 * course.told_less_truth:+.1f} % ({course.curse:+.1f} errors)"
        spent = f"{course.candidates[-1] / full:.0f}"
        table.add_row(
            each.rules.name, spent, five, three, one, f"{100 * course.mean[-1]:.1f} % ({ends})",
            told if result.has_truth else "",
        )  # fmt: skip
    console.print(table)
    for line in _notes(result):
        console.print(line, markup=False, soft_wrap=True)
    console.print("recommended:", markup=False)
    console.print(plain_text(_settings(result.best)).rstrip(), markup=False, soft_wrap=True)


def _notes(result: Replay) -> list[str]:
    samples = ", ".join(result.samples)
    lines = [f"compute in full trainings; interquartile means over searches; samples: {samples}"]
    if not result.has_truth:
        lines.append(
            "judged by the search's own validation values, for lack of an independent sample: this "
            "compares pruners and samplers, not choices among noisy values"
        )
    if result.surrogate_error is not None:
        error = 100 * result.surrogate_error
        lines.append(f"the sampler's points are of a surrogate with an error of {error:.1f} %")
    return [*lines, *(f"figure: {path}" for path in result.files if path.suffix == ".png")]


def _settings(best: PlayedRules) -> dict[str, Any]:
    """Return the best rules as an experiment file writes them."""
    rules = best.rules
    search: dict[str, Any] = {"pruner": {"type": rules.pruner.type}}
    if rules.sampler.type != "random":  # recorded points, drawn at random, recommend no sampler
        search["sampler"] = {"type": rules.sampler.type}
    return {
        "objective": {"maximize": rules.objective},
        "training": {"monitor": rules.monitor},
        "search": search,
    }


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(replay)
