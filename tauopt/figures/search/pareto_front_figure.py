"""The trials of a search in the plane of two objectives, with their Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from tauopt.figures.figure_style import (
    LINES,
    FigurePoints,
    SampleLabel,
    label,
    new_figure,
    rounded,
    styled,
)
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.pareto import fronts

_NAMED = 12
"""Largest front of which trials have their names written beside them."""
_DECADES = 0.7
"""A positive objective that spans more than this many decades gets a logarithmic axis."""
_LEGEND = 0.24
"""Part of the figure's height that the legend takes."""


@dataclass(frozen=True)
class ObjectiveAxis:
    """One objective of several trials."""

    name: str
    values: Sequence[Estimate]
    """(trial,)."""
    larger: bool
    """Whether larger is better."""

    @property
    def triples(self) -> NDArray[np.float64]:
        """Value, low and high, (3, trial)."""
        return np.array([value.triple for value in self.values]).reshape(-1, 3).T


@styled
def front_figure(
    first: ObjectiveAxis,
    other: ObjectiveAxis,
    *,
    trials: Sequence[int],
    default: int,
    sample: SampleLabel,
    text: str,
) -> tuple[Figure, FigurePoints]:
    """Draw complete trials in the plane of two objectives; the front is a line of steps.

    The steps bound the values reached: no trial lies beyond them.

    Args:
        first: the objective of the pruner, on the y axis.
        other: another objective, on the x axis.
        trials: (trial,) numbers of the trials.
        default: number of the trial with default values, which has its own marker.
        sample: label of the candidates on which trials are measured.
        text: N and weights.
    """
    figure, axes = new_figure()
    y, x = first.triples, other.triples
    front = fronts(np.stack([y[0], x[0]], axis=1), larger=(first.larger, other.larger)) == 1
    names = np.array([f"t{number:03d}" for number in trials])
    is_default = np.asarray(trials) == default
    for marker, marked in (("o", ~is_default), ("D", is_default)):
        for filled, chosen in ((False, marked & ~front), (True, marked & front)):
            _draw_trials(axes, x[:, chosen], y[:, chosen], marker=marker, filled=filled)
    _limit(axes, x, y)
    _draw_front(axes, x[0][front], y[0][front], larger=other.larger)
    if front.sum() <= _NAMED:
        _write_names(axes, x[0][front], y[0][front], names[front], left=other.larger)
    axes.set_xlabel(f"{other.name} ({'larger' if other.larger else 'smaller'} is better)")
    axes.set_ylabel(first.name)
    axes.legend(
        handles=[
            _handle("o", filled=False, text=f"{len(trials)} trials"),
            _handle("o", filled=True, text=f"{front.sum()} of them on the front"),
            *([_handle("D", filled=False, text="default values")] if is_default.any() else []),
        ],
        loc="upper right", title=text, alignment="right", ncols=3, columnspacing=1.2,
        handletextpad=0.2,
    )  # fmt: skip
    label(axes, sample)
    return figure, {
        "note": text,
        "trials": names.tolist(),
        "front": front.tolist(),
        "default": f"t{default:03d}" if is_default.any() else None,
        **{axis.name: rounded(axis.triples.T) for axis in (first, other)},
    }


def _draw_trials(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], *, marker: str, filled: bool
) -> None:
    """Draw trials, (3, trial) each, with their errors."""
    if x.size:
        errors = {"xerr": np.abs(x[1:] - x[0]), "yerr": np.abs(y[1:] - y[0])}
        style = _style(marker, filled=filled)
        axes.errorbar(x[0], y[0], fmt=marker, ecolor="#777777", elinewidth=0.9, **errors, **style)


def _style(marker: str, *, filled: bool) -> dict[str, Any]:
    return {
        "color": "black",
        "markerfacecolor": LINES[1]["color"] if filled else "white",
        "markersize": 6.5 if marker == "o" else 8.0,
        "zorder": 3.0,
    }


def _handle(marker: str, *, filled: bool, text: str) -> Line2D:
    return Line2D([], [], marker=marker, linestyle="", label=text, **_style(marker, filled=filled))


def _draw_front(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], *, larger: bool
) -> None:
    """Draw the boundary of the values reached, to the edges of the figure."""
    order = np.argsort(x)
    bottom, (left, right) = axes.get_ylim()[0], axes.get_xlim()
    x, y = x[order], y[order]
    if larger:
        x, y = np.concatenate([[left], x, x[-1:]]), np.concatenate([y[:1], y, [bottom]])
    else:
        x, y = np.concatenate([x[:1], x, [right]]), np.concatenate([[bottom], y, y[-1:]])
    axes.step(
        x, y, where="pre" if larger else "post", color=LINES[1]["color"], linewidth=1.4, zorder=2
    )


def _write_names(
    axes: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    names: NDArray[np.str_],
    *,
    left: bool,
) -> None:
    for place, name in zip(zip(x, y, strict=True), names, strict=True):
        axes.annotate(
            str(name),
            place,
            xytext=(6 if left else -6, 5),
            textcoords="offset points",
            ha="left" if left else "right",
            fontsize=9,
        )


def _limit(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Set limits that leave room for the legend above; a wide span gets a logarithmic axis."""
    for axis, scale, limit, values, free in (
        (axes.xaxis, axes.set_xscale, axes.set_xlim, x, 0.0),
        (axes.yaxis, axes.set_yscale, axes.set_ylim, y, _LEGEND),
    ):
        is_wide = values.min() > 0 and np.log10(values.max() / values.min()) > _DECADES
        if is_wide:
            scale("log")
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        least, most = (
            np.log([values.min(), values.max()]) if is_wide else (values.min(), values.max())
        )
        span = (most - least) or abs(most) or 1.0
        ends = least - 0.1 * span, most + (0.1 + free) / (1 - free) * span
        limit(*(np.exp(ends) if is_wide else ends))
