"""The parts of a first search space that don't depend on the network."""

from __future__ import annotations

from collections.abc import Iterator

from tauopt.config.first_space.commented_lines import (
    CommentedLine,
    comment,
    flow,
    laid_out,
    paragraph,
)
from tauopt.config.first_space.guess_task import FirstTask
from tauopt.config.settings.experiment import Pruner, Sampler, Search, Task, Tracking
from tauopt.config.source.yaml_text import scalar_text

TRIALS = 60


def task_lines(task: FirstTask) -> Iterator[str]:
    """Give the lines of `task`."""
    yield "task:"
    yield from paragraph(task.note, indent=2) if task.note else ()
    grouped = {name: members for name, members in task.classes.items() if members != (name,)}
    if not grouped:
        lines = flow("classes", [*map(scalar_text, task.classes)], indent=2)
        yield from laid_out(
            [CommentedLine(lines[0], "what the network tells apart" if len(lines) == 1 else "")]
        )
        yield from lines[1:]
    else:
        yield from laid_out([CommentedLine("  classes:", _said(Task, "classes"))])
        for name, members in task.classes.items():
            yield from flow(scalar_text(name), [*map(scalar_text, members)], indent=4)
    if task.signal:
        names = ", ".join(map(scalar_text, task.signal))
        yield from laid_out([CommentedLine(f"  signal: [{names}]", "the others are background")])


def objective_lines(task: FirstTask) -> Iterator[CommentedLine]:
    """Give the lines of `objective`: what can be told without background, if there is none."""
    yield CommentedLine("objective:")
    if task.signal:
        yield CommentedLine(
            "  maximize: rejection@0.75", "of background, at 75 % signal efficiency"
        )
    else:
        yield CommentedLine("  maximize: accuracy", "or balanced_accuracy: classes count the same")


def search_lines() -> Iterator[CommentedLine]:
    """Give the lines of `search`."""
    sampler, pruner = Sampler(), Pruner()
    yield CommentedLine("search:")
    yield CommentedLine(f"  trials: {TRIALS}", _said(Search, "trials"))
    yield CommentedLine(
        f"  sampler: {{type: {sampler.type}, seed: {sampler.seed}, startup: {sampler.startup}}}",
        _said(Search, "sampler"),
    )
    yield CommentedLine(
        f"  pruner: {{type: {pruner.type}, reduction_factor: {pruner.reduction_factor}}}",
        _said(Search, "pruner"),
    )
    yield CommentedLine("  resources: {cpus: 1}", "a trial; with GPUs {cpus: 2, gpus: 0.25}")
    yield CommentedLine("  # budget: {hours: 12}", "or until this time is over")


def tracking_lines(experiment: str) -> Iterator[CommentedLine]:
    """Give the lines of `tracking`; `experiment` is MLflow's."""
    yield CommentedLine("tracking:")
    yield CommentedLine(f"  experiment: {scalar_text(experiment)}", _said(Tracking, "experiment"))


def _said(settings: type[Search | Task | Tracking], name: str) -> str:
    return comment(settings.model_fields[name].description)
