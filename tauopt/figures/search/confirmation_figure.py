"""Points that were trained again on other seeds: each training, their means, and the first one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tauopt.figures.figure_style import FigurePoints, SampleLabel, new_figure, styled
from tauopt.figures.panels import title
from tauopt.figures.search.search_style import BEST

_HEAD, _ROW = 1.9, 0.36
"""Inches of a figure without points, and of each point."""


@dataclass(frozen=True)
class ConfirmedTrial:
    """A trial whose point was trained again.

    Attributes:
        name: as in tables, such as `t007`.
        first: the objective of the trial itself.
        values: (seed,) that of the new trainings.
        mean, low, high: their mean and its 68 % interval.
        tied: whether the mean is tied with the best one.
    """

    name: str
    first: float
    values: Sequence[float]
    mean: float
    low: float
    high: float
    tied: bool


@styled
def confirmation_figure(
    trials: Sequence[ConfirmedTrial], *, objective: str, sample: SampleLabel, text: str
) -> tuple[Figure, FigurePoints]:
    """Draw the trainings of each confirmed point in a row, with their mean.

    Args:
        trials: the best first; at least one.
        objective: name of the first objective.
        sample: label of the candidates on which trials are measured.
        text: N and weights.
    """
    height = _HEAD + _ROW * len(trials)
    figure, axes = new_figure(size=(7.2, height))
    figure.subplots_adjust(left=0.11, right=0.97, bottom=0.62 / height, top=1 - 1.15 / height)
    title(figure, [axes], heading=sample.heading)
    figure.text(0.97, 1 - 1.1 / height, text, size=9.5, ha="right", va="bottom")
    rows = range(len(trials))
    marks: dict[str, Any] = {"linestyle": "", "markersize": 6, "markeredgewidth": 1.2}
    axes.plot(
        [value for trial in trials for value in trial.values],
        [row for row in rows for _ in trials[row].values],
        marker="o", color="#8c8c8c", markerfacecolor="white", label="other seeds", **marks,
    )  # fmt: skip
    axes.plot(
        [trial.first for trial in trials], rows,
        marker="x", color="#0072b2", label="first training", **marks,
    )  # fmt: skip
    axes.errorbar(
        [trial.mean for trial in trials], rows,
        xerr=[[t.mean - t.low for t in trials], [t.high - t.mean for t in trials]],
        marker="D", color=BEST, elinewidth=1.8, zorder=3, label="mean of other seeds, 68 %",
        **marks,
    )  # fmt: skip
    axes.set_yticks(rows, [f"{t.name} {'=' if t.tied else '  '}" for t in trials])
    axes.set_ylim(len(trials) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_xlabel(objective)
    axes.margins(x=0.06)
    figure.legend(
        loc="upper left", bbox_to_anchor=(0.1, 1 - 0.43 / height), ncols=3, columnspacing=1.2,
        handletextpad=0.4,
    )  # fmt: skip
    return figure, {
        "note": text,
        "objective": objective,
        "points": [vars(trial) | {"values": list(trial.values)} for trial in trials],
    }
