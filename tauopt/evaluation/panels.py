"""Figures with a panel of ratios below the main one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tauopt.evaluation.measured import Measured
from tauopt.evaluation.style import DPI, FIGURE_SIZE, new_figure

RATIO_SIZE = (6.4, 6.4)
"""Inches, of a figure with a panel of ratios."""
_MARGINS = {"left": 0.14, "right": 0.965, "bottom": 0.105, "top": 0.935, "hspace": 0.07}


def main_and_ratio(*, ratio: bool) -> tuple[Figure, Axes, Axes | None]:
    """Return a figure, its axes and, if wanted, the axes of ratios below them."""
    if not ratio:
        figure, axes = new_figure(size=FIGURE_SIZE)
        return figure, axes, None
    figure = Figure(figsize=RATIO_SIZE, dpi=DPI)
    FigureCanvasAgg(figure)
    main, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2.6, 1.0]})
    figure.subplots_adjust(**_MARGINS)
    return figure, main, below


def ratio_axes(
    axes: Axes, shown: Sequence[Measured | None], *, to: str, most: tuple[float, float] = (0.0, 1.0)
) -> None:
    """Finish a panel of ratios: a line at one, and limits that hold the intervals.

    Args:
        axes: of the panel.
        shown: the ratios drawn.
        to: what stands below the line.
        most: quantiles of the lower and the upper ends that are inside.
    """
    known = triples([one for one in shown if one is not None])
    below, above = 1.0, 1.0
    if len(known):
        below, above = np.quantile(known[:, 1], most[0]), np.quantile(known[:, 2], most[1])
    low = float(np.clip(1.0 - below, 0.03, 1.0))
    high = float(np.clip(above - 1.0, 0.03, 3.0))
    room = 0.08 * (low + high)
    axes.axhline(1.0, color="#777777", linewidth=1.0, zorder=0)
    axes.set_ylim(max(0.0, 1.0 - low - room), 1.0 + high + 4.5 * room)
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    axes.set_ylabel("Ratio")
    axes.text(
        0.985, 0.93, f"to {to}", transform=axes.transAxes, ha="right", va="top", fontsize=10.5
    )


def triples(values: Sequence[Measured | None]) -> NDArray[np.float64]:
    """Return measured numbers as (number, 3): value, low, high; NaN where there is none."""
    nothing = [np.nan] * 3
    return np.array([one.triple if one else nothing for one in values], np.float64).reshape(-1, 3)
