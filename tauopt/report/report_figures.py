"""The figures of a search's report, each with a caption that says how to read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tauopt.config.settings.objective import Goal
from tauopt.figures.figure_style import FigurePoints, SampleLabel
from tauopt.figures.search.best_value_figure import progress_figure
from tauopt.figures.search.confirmation_figure import ConfirmedTrial, confirmation_figure
from tauopt.figures.search.hyperparameter_importance_figure import (
    HyperparameterImportance,
    importance_figure,
)
from tauopt.figures.search.learning_curves_figure import learning_figure
from tauopt.figures.search.parallel_coordinates_figure import parallel_figure
from tauopt.figures.search.parameter_axis import ParameterAxis
from tauopt.figures.search.pareto_front_figure import ObjectiveAxis, front_figure
from tauopt.figures.search.slices_figure import slice_figure
from tauopt.figures.search.timeline_figure import timeline_figure
from tauopt.figures.search.trial_points import REPEATED, TrialPoint
from tauopt.metrics.estimate import Estimate
from tauopt.report.compute_cost import cost_resource
from tauopt.report.figure_inputs import (
    confirmed_trials,
    driver_lives,
    has_candidate_counts,
    parameter_axes,
    rung_positions,
    sample_label,
    sample_note,
    trial_points,
    with_common_names,
    worker_bars,
)
from tauopt.report.hyperparameter_importances import importances, trials_to_rank
from tauopt.report.search_record import SearchRecord
from tauopt.study.leaderboard_rows import LeaderboardRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DrawFigure = Callable[[], "tuple[Figure, FigurePoints]"]
_MOST_PARAMETERS = 12
"""Axes or panels that one figure has room for."""
_DEFAULT_TRIAL = 0
"""The first trial of a search has the hyperparameters of the literature."""


@dataclass(frozen=True)
class PlannedFigure:
    """A figure that is still to be drawn, and its caption."""

    name: str
    """Name of its files."""
    title: str
    reading: str
    """One or two sentences that say how to read it."""
    draw: DrawFigure


@dataclass(frozen=True)
class _Inputs:
    """What most figures of a search take."""

    record: SearchRecord
    trials: Sequence[TrialPoint]
    sample: SampleLabel
    note: str

    @property
    def labels(self) -> dict[str, Any]:
        """Objective, sample and note, as keyword arguments of the figure functions."""
        objective = self.record.goals[0].name
        return {"objective": objective, "sample": self.sample, "text": self.note}


def plan(record: SearchRecord) -> list[PlannedFigure]:
    """Return the figures that can be drawn of a search, in the order of the page."""
    inputs = _Inputs(record, trial_points(record), sample_label(record), sample_note(record))
    figures = [_progress(inputs)] if inputs.trials else []
    figures += _fronts(inputs)
    if confirmed := confirmed_trials(record):
        figures.append(_confirmed(inputs, confirmed))
    if any(trial.values and trial.fate != REPEATED for trial in inputs.trials):
        figures.append(_learning_curves(inputs))
    if any(trial.value is not None and trial.params for trial in inputs.trials):
        figures += _hyperparameters(inputs)
    if any(trial.history.sessions for trial in record.trials):
        figures.append(_timeline(inputs))
    return figures


def _progress(inputs: _Inputs) -> PlannedFigure:
    return PlannedFigure(
        "progress",
        "Best value so far",
        "The line is the best complete trial so far, its band the 68 % interval: where it has "
        "long been flat, more trials of this space promise little.",
        lambda: progress_figure(inputs.trials, held=cost_resource(inputs.record), **inputs.labels),
    )


def _fronts(inputs: _Inputs) -> Iterator[PlannedFigure]:
    """Plan a figure for each objective behind the first, if any trial has completed."""
    first, *others = inputs.record.goals
    leaderboard, note = inputs.record.leaderboard, inputs.note.replace("; ", "\n", 1)
    if not any(row.front for row in leaderboard):
        return
    for goal in others:
        yield PlannedFigure(
            front_name(goal),
            f"Front of {first.name} and {goal.name}",
            "The steps bound what has been reached: no trial lies beyond them. Choose among the "
            "filled points, on the front; each other trial is surpassed by one of them.",
            partial(draw_front, leaderboard, (first, goal), sample=inputs.sample, text=note),
        )


def _confirmed(inputs: _Inputs, trials: Sequence[ConfirmedTrial]) -> PlannedFigure:
    return PlannedFigure(
        "confirmed",
        "The best points on other seeds",
        "Each row is a point of the space, the best first. Its mean over other seeds counts, and "
        "not the first training, for which it was chosen: that is mostly too good. Means marked "
        "with = are tied with the best: neither seeds nor sample tell them apart.",
        lambda: confirmation_figure(trials, **inputs.labels),
    )


def _learning_curves(inputs: _Inputs) -> PlannedFigure:
    return PlannedFigure(
        "learning",
        "Learning curves",
        "Each line is a trial from report to report; those stopped at a rung end there in a mark. "
        "A curve that still rises at its end needs more epochs; curves that cross behind a rung "
        "show that the rung comes too early.",
        lambda: learning_figure(
            inputs.trials,
            rungs=rung_positions(inputs.record),
            by_candidates=has_candidate_counts(inputs.record),
            **inputs.labels,
        ),
    )


def _hyperparameters(inputs: _Inputs) -> Iterator[PlannedFigure]:
    """Plan importances, parallel coordinates and slices, as far as trials allow."""
    ranked = trials_to_rank(inputs.record)
    shares = importances(ranked) if ranked else {}
    if ranked is not None:
        yield _importances(inputs, shares, count=len(ranked.trials), judged_by=ranked.judged_by)
    by_first = sorted(next(iter(shares.values()), ()), key=lambda share: -(share.value or 0.0))
    most_important = [share.path for share in by_first if share.value is not None]
    trials = with_common_names(inputs.trials)
    axes = parameter_axes(inputs.record, most=_MOST_PARAMETERS, first=most_important)
    if len(axes) > 1:
        yield _parallel_coordinates(inputs, trials, axes)
    if axes:
        yield _slices(inputs, trials, axes)


def _importances(
    inputs: _Inputs,
    shares: dict[str, list[HyperparameterImportance]],
    *,
    count: int,
    judged_by: str,
) -> PlannedFigure:
    return PlannedFigure(
        "importance",
        "Importances of hyperparameters",
        "How strongly the best trials differ from all in a parameter: the share of each in that "
        "difference. A bar that reaches zero means that the trials can't decide. A parameter that "
        "was searched in a narrow or good range looks unimportant, whatever it does elsewhere.",
        lambda: importance_figure(shares, trials=count, judged_by=judged_by, sample=inputs.sample),
    )


def _parallel_coordinates(
    inputs: _Inputs, trials: Sequence[TrialPoint], axes: Sequence[ParameterAxis]
) -> PlannedFigure:
    return PlannedFigure(
        "parallel",
        "Parallel coordinates",
        "Each line is a trial, crossing every axis at its value: where dark lines gather, good "
        "values lie. A trial without a parameter passes below its axis; pruned, failed and "
        "running ones are faint." + _left_out(inputs, len(axes)),
        lambda: parallel_figure(trials, axes, **inputs.labels),
    )


def _slices(
    inputs: _Inputs, trials: Sequence[TrialPoint], axes: Sequence[ParameterAxis]
) -> PlannedFigure:
    return PlannedFigure(
        "slices",
        "Slices",
        "One panel for each parameter: a slope or a peak shows that it matters. Best values at "
        "the edge of a panel call for a wider range. The other parameters vary too: scatter is "
        "not noise alone." + _left_out(inputs, len(axes)),
        lambda: slice_figure(trials, axes, **inputs.labels),
    )


def _left_out(inputs: _Inputs, shown: int) -> str:
    count = len(parameter_axes(inputs.record, most=10_000))
    if count <= shown:
        return ""
    return f" Of {count} parameters the {shown} most important are shown; the table has all."


def _timeline(inputs: _Inputs) -> PlannedFigure:
    return PlannedFigure(
        "timeline",
        "Timeline",
        "A bar is a trial's time with one worker; a row is one of the slots that trained at the "
        "same time. The white part at the left of a bar is imports and building the network; gaps "
        "are slots that waited.",
        lambda: timeline_figure(
            worker_bars(inputs.record), driver_lives(inputs.record), sample=inputs.sample
        ),
    )


def front_name(goal: Goal) -> str:
    """Return the file name of the figure of the first objective against another one."""
    return "front-" + re.sub(r"[^A-Za-z0-9._-]", "_", goal.name)


def draw_front(
    leaderboard: Sequence[LeaderboardRow],
    goals: tuple[Goal, Goal],
    *,
    sample: SampleLabel,
    text: str,
) -> tuple[Figure, FigurePoints]:
    """Draw the complete trials of a search in the plane of its first and another objective."""
    rows = sorted((row for row in leaderboard if row.front), key=lambda row: row.number)
    first, other = goals
    return front_figure(
        ObjectiveAxis(
            first.name, [_estimate(row.value, row.low, row.high) for row in rows], first.larger
        ),
        ObjectiveAxis(
            other.name, [_estimate(*row.others[other.name]) for row in rows], other.larger
        ),
        trials=[row.number for row in rows],
        default=_DEFAULT_TRIAL,
        sample=sample,
        text=text,
    )


def _estimate(value: float | None, low: float | None, high: float | None) -> Estimate:
    known = 0.0 if value is None else value
    return Estimate(known, known if low is None else low, known if high is None else high)
