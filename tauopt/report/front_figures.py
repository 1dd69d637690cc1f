"""Figures of a search as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.objective import Goal
from tauopt.dataset.manifest import read_manifest
from tauopt.metrics.estimate import Estimate
from tauopt.study.leaderboard_rows import LeaderboardRow
from tauopt.study.trial_runs import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tauopt.figures.figure_style import SampleLabel

_DEFAULT = 0
"""Number of the trial of the literature's values."""


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
    from tauopt.figures.figure_style import SampleLabel
    from tauopt.figures.save_figure import save_figure

    sample = SampleLabel.from_dataset(experiment.data, "validation split")
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
) -> tuple[Figure, dict[str, Any]]:
    """Draw the complete trials of a search in the plane of its first and another objective."""
    from tauopt.figures.search.pareto_front_figure import ObjectiveAxis, front_figure

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
