"""Style of the figures of a search: marks of trials, axes of values, panels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from tauopt.figures.figure_style import SampleLabel, new_figure
from tauopt.figures.panels import title
from tauopt.figures.search.trial_points import (
    COMPLETE,
    FAILED,
    FATES,
    PRUNED,
    REPEATED,
    UNFINISHED,
    TrialPoint,
)

LOOKS: Mapping[str, Mapping[str, Any]] = {
    COMPLETE: {"marker": "o", "color": "#000000", "markerfacecolor": "#000000"},
    PRUNED: {"marker": "v", "color": "#8c8c8c", "markerfacecolor": "white"},
    FAILED: {"marker": "x", "color": "#d55e00", "markerfacecolor": "#d55e00"},
    REPEATED: {"marker": "s", "color": "#0072b2", "markerfacecolor": "white"},
    UNFINISHED: {"marker": "D", "color": "#009e73", "markerfacecolor": "white"},
}
"""Mark of each fate; in grey they differ by their shapes."""
BEST = "#d55e00"
"""Colour of the best trial."""
PANELS_SIZE = (10.4, 4.9)
"""Inches of a figure of two panels."""
_SIZE, _SMALL, _MANY = 5.5, 3.2, 200
"""Usual and small size of marks in points; number of trials above which they are small."""
_DECADES = 0.7
"""Positive values that span more than this many decades get a logarithmic axis."""


def two_panels(sample: SampleLabel, *, text: str) -> tuple[Figure, list[Axes]]:
    """Return a figure of two panels side by side, titled, with room for a legend above them."""
    figure, axes = new_figure(size=PANELS_SIZE)
    axes.remove()
    panels = list(figure.subplots(1, 2, sharey=True))
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.125, top=0.79, wspace=0.05)
    title(figure, panels, heading=sample.heading)
    figure.text(0.98, 0.81, text, size=9.5, ha="right", va="bottom")
    return figure, panels


def mark_trials(axes: Axes, x: Sequence[float | None], trials: Sequence[TrialPoint]) -> None:
    """Draw each trial at its x; one without a value is marked at the foot of the axes."""
    size = _SIZE if len(trials) <= _MANY else _SMALL
    for fate in reversed(FATES):
        placed = [
            (at, t) for at, t in zip(x, trials, strict=True) if t.fate == fate and at is not None
        ]
        valued = [(at, t) for at, t in placed if t.value is not None]
        if valued:
            _mark(axes, valued, mark_style(fate, size=size))
        foot = [at for at, t in placed if t.value is None]
        transform = axes.get_xaxis_transform()
        style = mark_style(fate, size=size)
        axes.plot(foot, [0.025] * len(foot), transform=transform, clip_on=False, **style)


def _mark(axes: Axes, trials: Sequence[tuple[float, TrialPoint]], style: dict[str, Any]) -> None:
    places = [at for at, _ in trials]
    values = np.array([t.height for _, t in trials])
    errors = [
        [0.0 if end is None else abs(end - t.height) for end in (t.low, t.high)] for _, t in trials
    ]
    errorbars: dict[str, Any] = {"yerr": np.array(errors).T, "ecolor": "#777777", "elinewidth": 0.8}
    axes.errorbar(places, values, **errorbars, **style)


def mark_style(fate: str, *, size: float = _SIZE) -> dict[str, Any]:
    """Return the style of the mark of a fate."""
    return {**LOOKS[fate], "markersize": size, "linestyle": "", "markeredgewidth": 1.2, "zorder": 3}


def fate_handles(trials: Iterable[TrialPoint]) -> list[Line2D]:
    """Return legend entries with the number of trials of each fate."""
    fates = [t.fate for t in trials]
    return [
        Line2D([], [], label=f"{fates.count(fate)} {fate}", **mark_style(fate))
        for fate in FATES
        if fate in fates
    ]


def is_wide(values: NDArray[np.float64]) -> bool:
    """Return whether values need a logarithmic axis."""
    return bool(
        len(values) and values.min() > 0 and np.log10(values.max() / values.min()) > _DECADES
    )


def scale_values(axes: Axes, values: Iterable[float | None], *, free: float = 0.06) -> None:
    """Scale the y axis to values of an objective, with a fraction `free` of its height above."""
    numbers = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(numbers):
        axes.set_yticks([])
        return
    wide = is_wide(numbers)
    if wide:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    scaled = np.log(numbers) if wide else numbers
    least, most = scaled.min(), scaled.max()
    span = (most - least) or 0.1 * abs(most) or 1.0
    ends = least - 0.08 * span, most + (0.04 + free) / (1 - free) * span
    axes.set_ylim(*(np.exp(ends) if wide else ends))


def hours_unit(most: float) -> tuple[str, float]:
    """Return the unit that suits times up to `most` hours, and that unit's number per hour."""
    if most >= 2:
        return "hours", 1.0
    return ("minutes", 60.0) if most >= 2 / 60 else ("seconds", 3600.0)
