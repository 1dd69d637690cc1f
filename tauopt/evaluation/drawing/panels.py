"""Figures of two panels: ratios below the main one, or two side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from tauopt.evaluation.drawing.style import DPI, FIGURE_SIZE, new_figure
from tauopt.evaluation.measured import Measured

RATIO_SIZE = (6.4, 6.4)
"""Inches, of a figure with a panel of ratios."""
PAIR_SIZE = (10.5, 5.4)
"""Inches, of two panels side by side."""
PLAIN = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
"""Numbers at ticks, without a common power of ten, which would lie over the label."""
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


def pair_of_panels() -> tuple[Figure, list[Axes]]:
    """Return a figure of two panels side by side, with room for a legend above them."""
    figure, axes = new_figure(size=PAIR_SIZE)
    axes.remove()
    panels = list(figure.subplots(1, 2))
    figure.subplots_adjust(left=0.085, right=0.975, bottom=0.125, top=0.765, wspace=0.2)
    return figure, panels


def title(figure: Figure, panels: Sequence[Axes], *, where: str) -> None:
    """Write above panels who made the figure at the left, and of which data at the right."""
    left, right = panels[0].get_position().x0, panels[-1].get_position().x1
    figure.text(left, 0.955, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, 0.955, where, size=11.5, ha="right")
