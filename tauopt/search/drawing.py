"""Figures of a search as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tauopt.config.experiment import Experiment
from tauopt.config.objective import Goal
from tauopt.dataset.manifest import read_manifest
from tauopt.evaluation.measured import Measured
from tauopt.search.leaderboard import Row
from tauopt.search.runs import FIGURES

_DEFAULT = 0
"""Number of the trial of the literature's values."""


def write_fronts(
    board: Sequence[Row], folder: Path, *, experiment: Experiment, dataset: Path
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
    shown = sorted((row for row in board if row.front), key=lambda row: row.number)
    if not others or not shown:
        return []
    from tauopt.evaluation.front_figure import Axis, front_figure
    from tauopt.evaluation.save import save_figure
    from tauopt.evaluation.style import Sample

    sample = Sample.of(experiment.data, "validation split")
    upward = Axis(first.name, [_measured(row.value, row.low, row.high) for row in shown], True)
    files: list[Path] = []
    for goal in others:
        values = [_measured(*row.others[goal.name]) for row in shown]
        figure, points = front_figure(
            upward,
            Axis(goal.name, values, goal.larger),
            trials=[row.number for row in shown],
            default=_DEFAULT,
            sample=sample,
            text=_note(experiment, dataset, goal, weights=sample.weights),
        )
        name = "front-" + re.sub(r"[^A-Za-z0-9._-]", "_", goal.name)
        files += save_figure(figure, points, folder / FIGURES, name=name)
    return files


def _measured(value: float | None, low: float | None, high: float | None) -> Measured:
    known = 0.0 if value is None else value
    return Measured(known, known if low is None else low, known if high is None else high)


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
