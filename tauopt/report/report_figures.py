"""Which figures the report of a search has, and how each is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.objective import Goal
from tauopt.dataset.manifest import read_manifest
from tauopt.figures.figure_style import FigurePoints, SampleLabel
from tauopt.figures.save_figure import save_figure
from tauopt.figures.search.best_value_figure import progress_figure
from tauopt.figures.search.hyperparameter_importance_figure import (
    HyperparameterImportance,
    importance_figure,
)
from tauopt.figures.search.learning_curves_figure import learning_figure
from tauopt.figures.search.parallel_coordinates_figure import parallel_figure
from tauopt.figures.search.pareto_front_figure import ObjectiveAxis, front_figure
from tauopt.figures.search.slices_figure import slice_figure
from tauopt.figures.search.timeline_figure import timeline_figure
from tauopt.figures.search.trial_points import REPEATED, TrialPoint
from tauopt.metrics.estimate import Estimate
from tauopt.report.compute_cost import held_of
from tauopt.report.figure_inputs import (
    axes_of,
    bars_of,
    drivings_of,
    knows_candidates,
    note_of,
    rungs_of,
    sample_of,
    tried_of,
    with_shown_params,
)
from tauopt.report.hyperparameter_importances import importances, ranked_of
from tauopt.report.search_record import SearchRecord
from tauopt.study.leaderboard_rows import LeaderboardRow
from tauopt.study.trial_runs import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DrawFigure = Callable[[], "tuple[Figure, FigurePoints]"]
_MOST_AXES, _MOST_PANELS = 12, 12
_DEFAULT = 0
"""Number of the trial of the literature's values."""


@dataclass(frozen=True)
class PlannedFigure:
    """A figure, and a sentence or two that say how to read it."""

    name: str
    title: str
    reading: str
    draw: DrawFigure


@dataclass(frozen=True)
class _Drawn:
    """What most figures take."""

    facts: SearchRecord
    trials: Sequence[TrialPoint]
    sample: SampleLabel
    text: str

    @property
    def objective(self) -> str:
        return self.facts.goals[0].name


def plan(facts: SearchRecord) -> list[PlannedFigure]:
    """Return the figures that can be drawn of a search, in the order of the page."""
    drawn = _Drawn(facts, tried_of(facts), sample_of(facts), note_of(facts))
    figures = [_progress(drawn)] if drawn.trials else []
    figures += _fronts(drawn)
    if any(trial.values and trial.fate != REPEATED for trial in drawn.trials):
        figures.append(_learning(drawn))
    if any(trial.value is not None and trial.params for trial in drawn.trials):
        figures += _of_parameters(drawn)
    if any(trial.past.stretches for trial in facts.trials):
        figures.append(_timeline(drawn))
    return figures


def _progress(of: _Drawn) -> PlannedFigure:
    return PlannedFigure(
        "progress",
        "Best value so far",
        "The line is the best complete trial so far, its band the 68 % interval: where it has "
        "long been flat, more trials of this space promise little.",
        lambda: progress_figure(
            of.trials,
            objective=of.objective,
            held=held_of(of.facts),
            sample=of.sample,
            text=of.text,
        ),
    )


def _fronts(of: _Drawn) -> Iterator[PlannedFigure]:
    """Plan a figure for each objective behind the first, where trials have completed."""
    first, *others = of.facts.goals
    if not any(row.front for row in of.facts.board):
        return
    text = of.text.replace("; ", "\n", 1)

    def draw(goal: Goal) -> tuple[Figure, FigurePoints]:
        return draw_front(of.facts.board, (first, goal), sample=of.sample, text=text)

    for goal in others:
        yield PlannedFigure(
            front_name(goal),
            f"Front of {first.name} and {goal.name}",
            "The steps bound what has been reached: no trial lies beyond them. Choose among the "
            "filled ones, on the front; each other trial is surpassed by one of them.",
            partial(draw, goal),
        )


def _learning(of: _Drawn) -> PlannedFigure:
    return PlannedFigure(
        "learning",
        "Learning curves",
        "Each line is a trial from report to report; those stopped at a rung end there in a mark. "
        "A curve that still rises at its end wants more epochs; curves that cross behind a rung "
        "say that it comes too early.",
        lambda: learning_figure(
            of.trials,
            objective=of.objective,
            rungs=rungs_of(of.facts),
            by_candidates=knows_candidates(of.facts),
            sample=of.sample,
            text=of.text,
        ),
    )


def _of_parameters(of: _Drawn) -> Iterator[PlannedFigure]:
    ranked = ranked_of(of.facts)
    found = importances(ranked) if ranked else {}
    if ranked is not None:
        yield _importance(of, found, trials=len(ranked.trials), judged_by=ranked.judged_by)
    ordered = sorted(next(iter(found.values()), ()), key=lambda one: -(one.value or 0.0))
    foremost = [one.path for one in ordered if one.value is not None]
    shown = with_shown_params(of.trials)
    axes = axes_of(of.facts, most=_MOST_AXES, first=foremost)
    if len(axes) > 1:
        yield _parallel(of, shown, axes)
    if axes:
        yield _slices(of, shown, axes_of(of.facts, most=_MOST_PANELS, first=foremost))


def _importance(
    of: _Drawn, found: dict[str, list[HyperparameterImportance]], *, trials: int, judged_by: str
) -> PlannedFigure:
    return PlannedFigure(
        "importance",
        "Importances of hyperparameters",
        "How strongly the best trials differ from all in a parameter: the share of each in that "
        "difference. Bars that reach to zero say that the trials can't tell. A parameter that "
        "was searched in a narrow or good range looks unimportant, whatever it does elsewhere.",
        lambda: importance_figure(found, trials=trials, judged_by=judged_by, sample=of.sample),
    )


def _parallel(of: _Drawn, shown: Sequence[TrialPoint], axes: Sequence[Any]) -> PlannedFigure:
    return PlannedFigure(
        "parallel",
        "Parallel coordinates",
        "Each line is a trial, crossing every axis at its value: where dark lines gather, good "
        "values lie. A trial without a parameter passes below its axis; pruned, failed and "
        "running ones are faint." + _left_out(of, len(axes)),
        lambda: parallel_figure(
            shown, axes, objective=of.objective, sample=of.sample, text=of.text
        ),
    )


def _slices(of: _Drawn, shown: Sequence[TrialPoint], axes: Sequence[Any]) -> PlannedFigure:
    return PlannedFigure(
        "slices",
        "Slices",
        "One panel a parameter: a slope or a peak says that it matters. Best values at an edge "
        "of a panel ask for a wider range. All else varies too, so that scatter is no noise."
        + _left_out(of, len(axes)),
        lambda: slice_figure(shown, axes, objective=of.objective, sample=of.sample, text=of.text),
    )


def _left_out(of: _Drawn, shown: int) -> str:
    every = len(axes_of(of.facts, most=10_000))
    if every <= shown:
        return ""
    return f" Of {every} parameters the {shown} most important are shown; the table has all."


def _timeline(of: _Drawn) -> PlannedFigure:
    return PlannedFigure(
        "timeline",
        "Timeline",
        "A bar is a trial's time with one worker, a row one of the slots that trained at the same "
        "time. White parts at the left of bars are imports and building; gaps are slots that "
        "waited.",
        lambda: timeline_figure(bars_of(of.facts), drivings_of(of.facts), sample=of.sample),
    )


def write_fronts(
    board: Sequence[LeaderboardRow], folder: Path, *, experiment: Experiment, dataset: Path
) -> list[Path]:
    """Draw the first objective against each other one, with the front of the two.

    Args:
        board: the search's trials.
        folder: of the search.
        experiment: with the objectives, the task and the data.
        dataset: folder of the prepared dataset.
    Returns:
        `front-<objective>.png` and its points as JSON for each objective behind the first;
        nothing where there are no others, or no complete trials.
    """
    first, *others = experiment.objective.goals
    if not others or not any(row.front for row in board):
        return []
    sample = SampleLabel.of(experiment.data, "validation split")
    files: list[Path] = []
    for goal in others:
        text = _note(experiment, dataset, goal, weights=sample.weights)
        figure, points = draw_front(board, (first, goal), sample=sample, text=text)
        files += save_figure(figure, points, folder / FIGURES, name=front_name(goal))
    return files


def front_name(goal: Goal) -> str:
    """Return the name of the figure of the first objective against another one."""
    return "front-" + re.sub(r"[^A-Za-z0-9._-]", "_", goal.name)


def draw_front(
    board: Sequence[LeaderboardRow], goals: tuple[Goal, Goal], *, sample: SampleLabel, text: str
) -> tuple[Figure, FigurePoints]:
    """Draw the complete trials of a search in the plane of its first and another objective."""
    shown = sorted((row for row in board if row.front), key=lambda row: row.number)
    first, other = goals
    upward = [_measured(row.value, row.low, row.high) for row in shown]
    values = [_measured(*row.others[other.name]) for row in shown]
    return front_figure(
        ObjectiveAxis(first.name, upward, first.larger),
        ObjectiveAxis(other.name, values, other.larger),
        trials=[row.number for row in shown],
        default=_DEFAULT,
        sample=sample,
        text=text,
    )


def _measured(value: float | None, low: float | None, high: float | None) -> Estimate:
    known = 0.0 if value is None else value
    return Estimate(known, known if low is None else low, known if high is None else high)


def _note(experiment: Experiment, dataset: Path, goal: Goal, *, weights: str) -> str:
    """Say N and weights, and what the errors are."""
    counts = read_manifest(dataset).splits["validation"].counts
    sums = {name: sum(counts[c] for c in of) for name, of in experiment.task.classes.items()}
    signal = sum(sums[name] for name in experiment.task.signal)
    lines = [
        f"N = {signal:,} signal, {sum(sums.values()) - signal:,} background",
        f"{weights}; errors: 68 %, statistical",
    ]
    if goal.name.startswith("latency"):
        lines.append("latency on one core: median and 68 % of the repeats")
    return "\n".join(lines)
