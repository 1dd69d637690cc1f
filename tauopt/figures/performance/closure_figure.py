"""Closure of working points in bins of each variable, for one number of prongs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tauopt.config.settings.working_point_settings import EVERY
from tauopt.figures.figure_style import (
    DPI,
    LINES,
    MARKERS,
    FigurePoints,
    SampleLabel,
    headroom,
    log_y,
    styled,
)
from tauopt.figures.panels import triples
from tauopt.figures.performance.profile_figures import x_axis
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.variable_axes import VariableAxis
from tauopt.metrics.working_points.closure import Closure, ProngClosure

_WIDTH, _HEIGHT = 6.0, 6.6
"""Inches: width of a column, height of the figure."""
_SHIFT = 0.22
"""Distance between rejections of neighbouring working points, in half bins."""
_FREE = 0.3
"""Part of the upper panels above the efficiencies, for the legend."""


@styled
def closure_figure(
    part: ProngClosure, *, prongs: str, sample: SampleLabel
) -> tuple[Figure, FigurePoints] | None:
    """Draw the signal efficiency and the background rejection of each working point in bins.

    Lines are the efficiencies for which the cuts were derived; a column is a variable. Bars are
    68 % intervals of the sample shown; the chi-squares contain the errors of the cuts too.

    Args:
        part: from `closure`.
        prongs: `1p`, `3p` or `all`.
        sample: label of the independent sample.
    Returns:
        figure and points; None where there is no variable with bins.
    """
    if not part.axes:
        return None
    figure, panels = _panels(len(part.axes))
    for column, axis in enumerate(part.axes):
        upper, lower = panels[:, column]
        closures = part.bins[axis.name]
        for number, (name, closed) in enumerate(closures.items()):
            _series(upper, axis, closed.efficiency, number=number, text=_legend_text(name, closed))
            upper.axhline(closed.wanted, color=_style(number)["color"], linewidth=0.9, zorder=0)
            shift = _SHIFT * (number - 0.5 * (len(closures) - 1))
            _series(lower, axis, closed.rejection, number=number, shift=shift)
        x_axis(lower, axis)
        upper.legend(
            loc="upper center", ncols=1 if len(closures) < 3 else 2, fontsize=9, columnspacing=0.8,
            handletextpad=0.3,
        )  # fmt: skip
    _limits(panels, part)
    text = f"N = {part.counts[0]:,} signal, {part.counts[1]:,} background; {sample.weights}"
    _label(figure, panels, sample=sample, prongs=prongs, text=text)
    return figure, {"note": text, "prongs": prongs, **part.as_json()}


def _panels(columns: int) -> tuple[Figure, NDArray[Any]]:
    width = _WIDTH * columns + 0.4
    figure = Figure(figsize=(width, _HEIGHT), dpi=DPI)
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        2, columns, squeeze=False, sharex="col", sharey="row",
        gridspec_kw={"height_ratios": [1.35, 1.0]},
    )  # fmt: skip
    figure.subplots_adjust(
        left=0.9 / width, right=1 - 0.22 / width, bottom=0.125, top=0.935, hspace=0.06, wspace=0.04
    )
    panels[0, 0].set_ylabel("Signal efficiency")
    panels[1, 0].set_ylabel("Background rejection")
    return figure, np.asarray(panels)


def _style(number: int) -> Any:
    """Return the style of a working point: the black line is left out."""
    return LINES[(number + 1) % len(LINES)]


def _series(
    axes: Axes,
    axis: VariableAxis,
    bins: Sequence[Estimate | None],
    *,
    number: int,
    text: str = "",
    shift: float | None = None,
) -> None:
    """Draw one working point; with a shift, in half bins, it has no bars along x."""
    value, low, high = triples(bins).T
    limit = np.array([bool(estimate and estimate.limit) for estimate in bins])
    before, after = axis.centres - axis.drawn[:-1], axis.drawn[1:] - axis.centres
    axes.errorbar(
        axis.centres + (shift or 0.0) * np.minimum(before, after), value,
        xerr=[before, after] if shift is None else None,
        yerr=[value - low, np.where(limit, 0.25 * value, high - value)],
        lolims=limit, fmt=MARKERS[number % len(MARKERS)], color=_style(number)["color"],
        label=text or None, markersize=4.5, elinewidth=1.1, linestyle="none",
    )  # fmt: skip


def _legend_text(name: str, closed: Closure) -> str:
    return (
        f"{name} {100 * closed.wanted:.3g} %: χ²/{closed.freedom} = "
        f"{closed.chi_square / max(closed.freedom, 1):.1f}, p = {closed.p_value:.2g}"
    )


def _limits(panels: NDArray[Any], part: ProngClosure) -> None:
    every = [closed for closures in part.bins.values() for closed in closures.values()]
    shown = triples([bin_ for closed in every for bin_ in closed.efficiency if bin_])
    low, high = max(0.0, shown[:, 1].min() - 0.04), min(1.1, shown[:, 2].max() + 0.02)
    panels[0, 0].set_ylim(low, low + (high - low) / (1.0 - _FREE))
    panels[0, 0].set_yticks([t for t in panels[0, 0].get_yticks() if low <= t <= 1.0 + 1e-9])
    rejected = triples([bin_ for closed in every for bin_ in closed.rejection if bin_])
    log_y(panels[1, 0])
    if len(rejected):
        top = min(rejected[:, 2].max(), 3.0 * rejected[:, 0].max())
        headroom(panels[1, 0], bottom=max(rejected[:, 1].min() / 1.4, 0.8), top=top, free=0.08)


def _label(
    figure: Figure, panels: NDArray[Any], *, sample: SampleLabel, prongs: str, text: str
) -> None:
    heading = sample.heading
    if prongs != EVERY:
        heading += f", {prongs.removesuffix('p')}-prong"
    left, right = panels[0, 0].get_position().x0, panels[0, -1].get_position().x1
    figure.text(left, 0.947, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, 0.947, heading, size=11.5, ha="right")
    figure.text(0.5, 0.012, f"{text}; errors: 68 %, statistical", ha="center", fontsize=10)
