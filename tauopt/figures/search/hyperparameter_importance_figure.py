"""Hyperparameter importance (PED-ANOVA), with the parameters that can't be ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tauopt.figures.figure_style import (
    LINES,
    MARKERS,
    FigurePoints,
    SampleLabel,
    new_figure,
    styled,
)
from tauopt.figures.search.parameter_names import short_names

MOST = 24
"""Number of parameters that are shown."""


@dataclass(frozen=True)
class HyperparameterImportance:
    """Importance of a hyperparameter for one objective.

    Attributes:
        path: path of the parameter in the experiment file.
        value: its share, 0 to 1; None where it can't be ranked.
        low, high: ends of its 68 % interval.
        active: number of trials in which it was active.
        why_not: reason why it can't be ranked; empty where it can.
    """

    path: str
    value: float | None
    low: float = 0.0
    high: float = 0.0
    active: int = 0
    why_not: str = ""


@styled
def importance_figure(
    importances: Mapping[str, Sequence[HyperparameterImportance]],
    *,
    trials: int,
    judged_by: str,
    sample: SampleLabel,
) -> tuple[Figure, FigurePoints]:
    """Draw the importance of hyperparameters for being among the best trials.

    Args:
        importances: objective -> its parameters, the same for each; at least one objective.
        trials: number of trials from which they are computed.
        judged_by: the ranking of the trials, in words.
        sample: label of the candidates on which trials are measured.
    """
    first, *_ = importances.values()
    ordered = sorted(first, key=lambda p: (p.value is None, -(p.value or 0.0), p.path))
    shown, active = ordered[:MOST], {parameter.path: parameter.active for parameter in ordered}
    rows = {parameter.path: row for row, parameter in enumerate(shown)}
    height = 1.75 + 0.31 * len(shown)
    figure, axes = new_figure(size=(8.4, height))
    figure.subplots_adjust(left=0.33, right=0.97, bottom=0.62 / height, top=1 - 0.82 / height)
    top = 0.0
    for number, (objective, parameters) in enumerate(importances.items()):
        ranked = [p for p in parameters if p.value is not None and p.path in rows]
        offset = 0.22 * (number - (len(importances) - 1) / 2)
        _draw(axes, ranked, [rows[p.path] + offset for p in ranked], number, objective)
        top = max([top, *(p.high for p in ranked)])
    for parameter in shown:
        if parameter.value is None:
            axes.text(0.012 * top, rows[parameter.path], f"not ranked: {parameter.why_not}",
                      fontsize=9, va="center", style="italic", color="#666666")  # fmt: skip
    names = short_names(rows)
    counts = {path: f" ({active[path]})" if active[path] < trials else "" for path in rows}
    axes.set_yticks(range(len(rows)), [names[path] + counts[path] for path in rows], fontsize=10)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.08 * top or 1.0)
    axes.tick_params(axis="y", length=0, which="both")
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("Importance (PED-ANOVA), share of all")
    _write_heading(figure, sample, f"{trials} trials, {judged_by}")
    if len(importances) > 1:
        axes.legend(loc="lower right", fontsize=10, frameon=True, framealpha=0.9)
    return figure, {
        "trials": trials,
        "judged_by": judged_by,
        "objectives": {
            objective: {
                p.path: {
                    "importance": p.value, "low": p.low, "high": p.high,
                    "active": p.active, "not_ranked": p.why_not,
                }
                for p in parameters
            }
            for objective, parameters in importances.items()
        },
        "not_shown": [p.path for p in ordered[MOST:]],
    }  # fmt: skip


def _draw(
    axes: Axes,
    ranked: Sequence[HyperparameterImportance],
    places: Sequence[float],
    number: int,
    name: str,
) -> None:
    values = [p.value or 0.0 for p in ranked]
    below = [max(value - p.low, 0.0) for value, p in zip(values, ranked, strict=True)]
    above = [max(p.high - value, 0.0) for value, p in zip(values, ranked, strict=True)]
    colour = LINES[number % len(LINES)]["color"]
    axes.errorbar(
        values, places, xerr=[below, above], fmt=MARKERS[number % len(MARKERS)], color=colour,
        markersize=6.5, elinewidth=1.1, label=name, zorder=3,
    )  # fmt: skip
    if number == 0:
        axes.hlines(places, 0.0, values, color=colour, linewidth=3.2, alpha=0.3, zorder=2)


def _write_heading(figure: Figure, sample: SampleLabel, ranking: str) -> None:
    height = figure.get_figheight()
    text = f"{ranking}; bars: 68 %, trials resampled; (n): active in n of them"
    figure.text(0.03, 1 - 0.4 / height, "tauopt", weight="bold", style="italic", size=15)
    figure.text(0.97, 1 - 0.4 / height, sample.heading, size=11.5, ha="right")
    figure.text(0.97, 1 - 0.7 / height, text, size=9, ha="right")
