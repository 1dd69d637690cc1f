"""Regret of played searches against the compute spent, for several rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tauopt.figures.figure_style import (
    FigurePoints,
    SampleLabel,
    label,
    new_figure,
    rounded,
    styled,
)

Floats = NDArray[np.float64]

_SIZE = (8.6, 5.6)
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
_COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")


@styled
def replay_figure(
    courses: Mapping[str, tuple[Floats, Floats, Floats, Floats]],
    *,
    metric: str,
    per: float,
    levels: Sequence[float],
    sample: SampleLabel,
) -> tuple[Figure, FigurePoints]:
    """Draw the regret of each set of rules against compute, with the quartiles of the last one.

    Args:
        courses: rules -> candidates, interquartile mean, lower and upper quartile, (point,) each;
            regret as a fraction.
        metric: by which choices are judged.
        per: candidates of a full training.
        levels: regrets at which lines are drawn, as fractions.
        sample: label of the recorded search.
    """
    figure, axes = new_figure(size=_SIZE)
    figure.subplots_adjust(left=0.1, right=0.975, bottom=0.115, top=0.93)
    points: FigurePoints = {"metric": metric, "full_training_candidates": per, "rules": {}}
    highest = 0.0
    for index, (name, (spent, mean, low, high)) in enumerate(courses.items()):
        known = np.isfinite(mean)
        x, y = spent[known] / per, 100.0 * mean[known]
        colour, line = _COLOURS[index % len(_COLOURS)], _LINES[index % len(_LINES)]
        axes.plot(x, y, color=colour, linestyle=line, linewidth=1.9, label=name)
        if index == len(courses) - 1:
            ends = [100.0 * quartile[known] for quartile in (low, high)]
            axes.fill_between(x, *ends, color=colour, alpha=0.15, linewidth=0)
        highest = max(highest, float(np.median(y)) * 2.2 if len(y) else 0.0)
        points["rules"][name] = {
            "full_trainings": rounded(x), "regret_percent": rounded(y),
            "quartiles_percent": [rounded(100.0 * q[known]) for q in (low, high)],
        }  # fmt: skip
    for level in levels:
        axes.axhline(100.0 * level, color="#bbbbbb", linewidth=0.9, zorder=0)
    axes.set_ylim(0.0, max(highest, 1.0))
    axes.set_xlim(left=0.0)
    axes.set_xlabel("Compute spent (full trainings)")
    axes.set_ylabel(f"Below the best {metric} (%)")
    axes.legend(loc="upper right", frameon=False)
    label(axes, sample)
    return figure, points
