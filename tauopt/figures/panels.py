"""Figures of two panels (ratios below, or side by side), and their axes and legends."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from tauopt.figures.figure_style import DPI, FIGURE_SIZE, new_figure, power_of_ten
from tauopt.metrics.estimate import Estimate

RATIO_SIZE = (6.4, 6.4)
"""Inches of a figure with a panel of ratios."""
PAIR_SIZE = (10.5, 5.4)
"""Inches of a figure of two panels side by side."""
PLAIN = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
"""Tick labels without a common power of ten, which would lie over the axis label."""
_LETTER = 0.53
"""Mean width of a letter, over the font size."""
_MARGINS = {"left": 0.14, "right": 0.965, "bottom": 0.105, "top": 0.935, "hspace": 0.07}


_LONG, _SHORT = 1e5, 1e-3
"""Largest values above or below which ticks leave out a power of ten."""


def plain_ticks(axes: Axes, which: Literal["x", "y"], *, most: float, text: str) -> None:
    """Label a linear axis; a power of ten, where ticks need one, stands in the label.

    Args:
        axes: of a panel.
        which: the x or the y axis.
        most: largest absolute value on it.
        text: its label.
    """
    power = 0 if _SHORT <= most < _LONG or not most > 0 else 3 * int(np.log10(most) // 3)
    ticks = ScalarFormatter(useOffset=False)
    if power:
        ticks.set_powerlimits((power, power))
    else:
        ticks.set_scientific(False)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(ticks)
    # Matplotlib writes the power of ten at the end of the axis, over the frame or over other text.
    axis.get_offset_text().set_visible(False)
    label = f"{text} / {power_of_ten(power)}" if power else text
    (axes.set_xlabel if which == "x" else axes.set_ylabel)(label)


def seen_unit(most: float, *, text: str = "Candidates seen") -> tuple[str, float]:
    """Return the label of an axis of candidates seen up to `most`, and the divisor of its unit."""
    for name, divisor in (("billions", 1e9), ("millions", 1e6), ("thousands", 1e3)):
        if most >= divisor:
            return f"{text} ({name})", divisor
    return text, 1.0


def main_and_ratio(*, ratio: bool) -> tuple[Figure, Axes, Axes | None]:
    """Return a figure, its axes and, with `ratio`, the axes of ratios below them."""
    if not ratio:
        figure, axes = new_figure(size=FIGURE_SIZE)
        return figure, axes, None
    figure = Figure(figsize=RATIO_SIZE, dpi=DPI)
    FigureCanvasAgg(figure)
    main, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2.6, 1.0]})
    figure.subplots_adjust(**_MARGINS)
    return figure, main, below


def ratio_axes(
    axes: Axes, shown: Sequence[Estimate | None], *, to: str, most: tuple[float, float] = (0.0, 1.0)
) -> None:
    """Finish a panel of ratios: a line at one, and limits that hold the intervals.

    Args:
        axes: of the panel.
        shown: the ratios drawn.
        to: name of the denominator.
        most: quantiles of the lower and of the upper ends that the limits still hold.
    """
    known = triples([ratio for ratio in shown if ratio is not None])
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


def triples(values: Sequence[Estimate | None]) -> NDArray[np.float64]:
    """Return estimates as (estimate, 3): value, low, high; NaN where there is none."""
    nothing = [np.nan] * 3
    rows = [value.triple if value else nothing for value in values]
    return np.array(rows, np.float64).reshape(-1, 3)


def largest_shown(rejections: Sequence[Estimate]) -> float:
    """Return the top of an axis of rejections: upper ends, and the arrows of limits."""
    known = triples([rejection for rejection in rejections if not rejection.limit])
    arrows = [2.0 * rejection.value for rejection in rejections if rejection.limit]
    most = known[:, 0].max(initial=1.0)
    # An upper end is far away where almost no background passes: cap it.
    return float(max([min(known[:, 2].max(initial=1.0), 3.0 * most), *arrows]))


def legend_share(legend: Legend) -> float:
    """Return the part of the axes' height that a legend at their top takes, with some room."""
    axes = legend.axes
    box = legend.get_window_extent(FigureCanvasAgg(axes.figure).get_renderer())
    return min(float(axes.bbox.y1 - box.y0) / float(axes.bbox.height) + 0.02, 0.6)


def pair_of_panels() -> tuple[Figure, list[Axes]]:
    """Return a figure of two panels side by side, with room for a legend above them."""
    figure, axes = new_figure(size=PAIR_SIZE)
    axes.remove()
    panels = list(figure.subplots(1, 2))
    figure.subplots_adjust(left=0.095, right=0.975, bottom=0.125, top=0.765, wspace=0.29)
    return figure, panels


def legend_above(figure: Figure, panels: Sequence[Axes], *, text: str, size: float) -> None:
    """Put one legend above all panels, in as many columns as fit, and move the panels below it.

    Args:
        figure: of the panels, with `title`.
        panels: the first one has the curves.
        text: title of the legend, wrapped to the figure's width.
        size: font size.
    """
    handles, names = panels[0].get_legend_handles_labels()
    renderer = FigureCanvasAgg(figure).get_renderer()
    room = 0.97 * figure.bbox.width
    letters = int(72 * figure.get_figwidth() / (_LETTER * (size - 1.0)))
    lines = [part for line in text.split("\n") for part in wrap(line, letters)]
    for columns in range(min(7, max(len(names), 1)), 0, -1):
        legend = figure.legend(
            handles, names, loc="upper center", bbox_to_anchor=(0.5, 0.935), ncols=columns,
            title="\n".join(lines), fontsize=size, title_fontsize=size - 1.0, columnspacing=1.2,
            handlelength=2.4,
        )  # fmt: skip
        box = legend.get_window_extent(renderer)
        if box.width <= room or columns == 1:
            break
        legend.remove()
    lowest = box.y0 / figure.bbox.height - 0.01
    figure.subplots_adjust(top=min(figure.subplotpars.top, max(lowest, 0.4)))


def title(figure: Figure, panels: Sequence[Axes], *, heading: str) -> None:
    """Write `tauopt` above the panels at the left, and `SampleLabel.heading` at the right."""
    left, right = panels[0].get_position().x0, panels[-1].get_position().x1
    figure.text(left, 0.955, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, 0.955, heading, size=11.5, ha="right")
