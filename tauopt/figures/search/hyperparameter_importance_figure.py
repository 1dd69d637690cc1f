"""Which hyperparameters of a search mattered, with what can't be ranked said."""

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
from tauopt.figures.search.search_style import where

MOST = 24
"""Parameters that are shown."""


@dataclass(frozen=True)
class HyperparameterImportance:
    """How much a parameter mattered for one objective.

    Attributes:
        path: of the parameter.
        value: its share, 0 to 1; None where it can't be ranked.
        low, high: ends of its 68 % interval.
        active: trials in which it was active.
        why_not: why it can't be ranked; empty where it can.
    """

    path: str
    value: float | None
    low: float = 0.0
    high: float = 0.0
    active: int = 0
    why_not: str = ""


@styled
def importance_figure(
    found: Mapping[str, Sequence[HyperparameterImportance]],
    *,
    trials: int,
    judged_by: str,
    sample: SampleLabel,
) -> tuple[Figure, FigurePoints]:
    """Draw the shares of hyperparameters in what tells the best trials from the others.

    Args:
        found: objective -> its parameters, the same for each; one objective at least.
        trials: of which they are computed.
        judged_by: what trials are ranked by, in words.
        sample: what trials are judged on, for the label.
    """
    first, *_ = found.values()
    ordered = sorted(first, key=lambda one: (one.value is None, -(one.value or 0.0), one.path))
    shown, active = ordered[:MOST], {one.path: one.active for one in ordered}
    rows = {one.path: row for row, one in enumerate(shown)}
    height = 1.75 + 0.31 * len(shown)
    figure, axes = new_figure(size=(8.4, height))
    figure.subplots_adjust(left=0.33, right=0.97, bottom=0.62 / height, top=1 - 0.82 / height)
    top = 0.0
    for number, (objective, ranked) in enumerate(found.items()):
        known = [one for one in ranked if one.value is not None and one.path in rows]
        offset = 0.22 * (number - (len(found) - 1) / 2)
        _draw(axes, known, [rows[one.path] + offset for one in known], number, objective)
        top = max([top, *(one.high for one in known)])
    for one in shown:
        if one.value is None:
            axes.text(0.012 * top, rows[one.path], f"not ranked: {one.why_not}", fontsize=9,
                      va="center", style="italic", color="#666666")  # fmt: skip
    names = short_names(rows)
    some = {path: f" ({active[path]})" if active[path] < trials else "" for path in rows}
    axes.set_yticks(range(len(rows)), [names[path] + some[path] for path in rows], fontsize=10)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.08 * top or 1.0)
    axes.tick_params(axis="y", length=0, which="both")
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("Importance (PED-ANOVA), share of all")
    _say(figure, axes, trials=trials, judged_by=judged_by, several=len(found) > 1, sample=sample)
    return figure, {
        "trials": trials,
        "judged_by": judged_by,
        "objectives": {
            objective: {
                one.path: {
                    "importance": one.value, "low": one.low, "high": one.high,
                    "active": one.active, "not_ranked": one.why_not,
                }
                for one in ranked
            }
            for objective, ranked in found.items()
        },
        "not_shown": [one.path for one in ordered[MOST:]],
    }  # fmt: skip


def _draw(
    axes: Axes,
    known: Sequence[HyperparameterImportance],
    places: Sequence[float],
    number: int,
    name: str,
) -> None:
    values = [one.value or 0.0 for one in known]
    below = [max(v - one.low, 0.0) for v, one in zip(values, known, strict=True)]
    above = [max(one.high - v, 0.0) for v, one in zip(values, known, strict=True)]
    colour = LINES[number % len(LINES)]["color"]
    axes.errorbar(
        values, places, xerr=[below, above], fmt=MARKERS[number % len(MARKERS)], color=colour,
        markersize=6.5, elinewidth=1.1, label=name, zorder=3,
    )  # fmt: skip
    if number == 0:
        axes.hlines(places, 0.0, values, color=colour, linewidth=3.2, alpha=0.3, zorder=2)


def _say(
    figure: Figure, axes: Axes, *, trials: int, judged_by: str, several: bool, sample: SampleLabel
) -> None:
    height = figure.get_figheight()
    text = f"{trials} trials, {judged_by}; bars: 68 %, trials resampled; (n): active in n of them"
    figure.text(0.03, 1 - 0.4 / height, "tauopt", weight="bold", style="italic", size=15)
    figure.text(0.97, 1 - 0.4 / height, where(sample), size=11.5, ha="right")
    figure.text(0.97, 1 - 0.7 / height, text, size=9, ha="right")
    if several:
        axes.legend(loc="lower right", fontsize=10, frameon=True, framealpha=0.9)
