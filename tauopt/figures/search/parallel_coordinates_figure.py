"""Parallel coordinates: each trial of a search is a line through its hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from tauopt.figures.figure_style import FigurePoints, SampleLabel, new_figure, styled
from tauopt.figures.search.parameter_axis import ChoiceAxis, ParameterAxis, spread
from tauopt.figures.search.parameter_names import short_names
from tauopt.figures.search.search_style import BEST, is_wide
from tauopt.figures.search.trial_points import COMPLETE, REPEATED, TrialPoint, best_of

INACTIVE = -0.14
"""Height of the lines of trials in which a parameter is not active."""
_SPREAD = 0.02
"""Largest shift of a line, in heights of the axes."""
_PART = (0.1, 1.0)
"""Range of the colour map: without the palest colours, which are lost on white paper."""
_COLOURS = "cividis_r"
"""Dark is good; monotonic in grey, and suited to colour-blind people."""


@styled
def parallel_figure(
    trials: Sequence[TrialPoint],
    axes: Sequence[ParameterAxis],
    *,
    objective: str,
    sample: SampleLabel,
    text: str,
) -> tuple[Figure, FigurePoints]:
    """Draw each trial as a line through the values of its parameters, coloured by its objective.

    A trial in which a parameter is not active passes below its axis. Trials that did not complete
    are faint; repeated ones are left out. Lines at one choice are spread a little.

    Args:
        trials: the trials of the search.
        axes: axes of the shown parameters, from the left; at least one.
        objective: name of the first objective, larger is better.
        sample: label of the candidates on which trials are measured.
        text: N and weights.
    """
    shown = [t for t in trials if t.fate != REPEATED and t.params]
    heights = heights_of(shown, axes)
    drawn = heights + _SPREAD * np.array(spread(len(shown)))[:, None]
    complete = np.array([t.fate == COMPLETE and t.value is not None for t in shown], dtype=bool)
    figure, plane = _plane(len(axes))
    faint = min(0.35, max(0.06, 30 / max(1, len(shown))))
    _lines(plane, drawn[~complete], colors="#9a9a9a", linewidths=0.7, alpha=faint, zorder=1)
    if complete.any():
        values = np.array([t.height for t in shown])
        _coloured(figure, plane, drawn[complete], values[complete], objective)
    best = best_of(shown)
    if best is not None:
        _lines(plane, drawn[[shown.index(best)]], colors=BEST, linewidths=2.6, zorder=4)
    _draw_axes(plane, axes, has_inactive=bool((heights < 0).any()))
    counts = int(complete.sum()), len(shown)
    _write_heading(figure, plane, best, counts=counts, sample=sample, text=text)
    return figure, _points(shown, axes, heights, objective=objective, text=text)


def heights_of(trials: Sequence[TrialPoint], axes: Sequence[ParameterAxis]) -> NDArray[np.float64]:
    """Return the heights at which trials cross axes, (trial, axis): 0 to 1, or `INACTIVE`."""
    heights = np.full((len(trials), len(axes)), INACTIVE)
    for column, axis in enumerate(axes):
        active = [i for i, t in enumerate(trials) if axis.path in t.params]
        heights[active, column] = [axis.position(trials[i].params[axis.path]) for i in active]
    return heights


def _plane(count: int) -> tuple[Figure, Axes]:
    width = min(max(1.15 * count + 2.2, 9.0), 15.0)
    figure, plane = new_figure(size=(width, 5.3))
    figure.subplots_adjust(left=0.75 / width, right=1 - 1.5 / width, bottom=0.04, top=0.72)
    plane.set_axis_off()
    plane.set_xlim(-0.15, count - 0.75 if count > 1 else 0.5)
    plane.set_ylim(-0.2, 1.03)
    return figure, plane


def _lines(plane: Axes, heights: NDArray[np.float64], **style: Any) -> None:
    x = np.arange(heights.shape[1], dtype=np.float64)
    if len(x) == 1:  # a line needs two ends
        x, heights = np.array([-0.1, 0.1]), np.repeat(heights, 2, axis=1)
    plane.add_collection(LineCollection([np.column_stack([x, y]) for y in heights], **style))


def _coloured(
    figure: Figure, plane: Axes, heights: NDArray[np.float64], values: NDArray[np.float64],
    objective: str,
) -> None:  # fmt: skip
    least, most = float(values.min()), float(values.max())
    if least == most:
        least, most = least - 0.5 * abs(least or 1.0), most + 0.5 * abs(most or 1.0)
    norm = LogNorm(least, most) if is_wide(values) else Normalize(least, most)
    colours = ListedColormap(mpl.colormaps[_COLOURS](np.linspace(*_PART, 256)))
    order = np.argsort(values)  # the best on top
    _lines(plane, heights[order], colors=colours(norm(values[order])), linewidths=1.3, zorder=2)
    box = plane.get_position()
    place = (box.x1 + 0.25 / figure.get_figwidth(), box.y0 + 0.1, 0.016, box.height - 0.12)
    bar = figure.colorbar(ScalarMappable(norm, colours), cax=figure.add_axes(place))
    bar.set_label(f"{objective}", fontsize=11)
    bar.ax.tick_params(labelsize=9, which="both", length=3)
    if is_wide(values):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _draw_axes(plane: Axes, axes: Sequence[ParameterAxis], *, has_inactive: bool) -> None:
    names = short_names(axis.path for axis in axes)
    for x, axis in enumerate(axes):
        plane.plot([x, x], [0, 1], color="black", linewidth=1.2, zorder=5)
        for value, text in axis.ticks():
            height = axis.position(value)
            plane.plot([x - 0.04, x], [height] * 2, color="black", linewidth=1.0, zorder=5)
            _write(plane, x - 0.06, height, text)
        log = "" if isinstance(axis, ChoiceAxis) or not axis.log else "\n(log)"
        plane.text(
            x, 1.05, names[axis.path].replace(".", ".\n", 1) + log, fontsize=9.5, rotation=28,
            ha="left", va="bottom", rotation_mode="anchor", linespacing=0.95,
        )  # fmt: skip
    if has_inactive:
        plane.axhline(INACTIVE, color="#cccccc", linewidth=0.8, zorder=0)
        plane.text(
            -0.12, INACTIVE - 0.035, "not active", fontsize=9, va="top", ha="left", style="italic"
        )


def _write(plane: Axes, x: float, y: float, text: str) -> None:
    back = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
    plane.text(x, y, text, fontsize=8.5, ha="right", va="center", zorder=6, bbox=back)


def _write_heading(
    figure: Figure,
    plane: Axes,
    best: TrialPoint | None,
    *,
    counts: tuple[int, int],
    sample: SampleLabel,
    text: str,
) -> None:
    complete, total = counts
    left, right = plane.get_position().x0, 0.985
    figure.text(left, 0.945, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, 0.945, sample.heading, size=11.5, ha="right")
    figure.text(right, 0.905, text, size=9.5, ha="right")
    handles = [Line2D([], [], color="#2d3e66", label=f"{complete} complete, by value")]
    if best is not None:
        handles.insert(0, Line2D([], [], color=BEST, linewidth=2.6, label=f"best: {best.name}"))
    if total > complete:
        rest = f"{total - complete} others"
        handles.append(Line2D([], [], color="#9a9a9a", alpha=0.6, linewidth=0.8, label=rest))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(left, 0.94), ncols=3, fontsize=10,
        borderaxespad=0.0, handlelength=1.6, columnspacing=1.2,
    )  # fmt: skip


def _points(
    trials: Sequence[TrialPoint], axes: Sequence[ParameterAxis], heights: NDArray[np.float64], *,
    objective: str, text: str,
) -> FigurePoints:  # fmt: skip
    return {
        "note": text,
        "objective": objective,
        "axes": [
            {
                "parameter": axis.path,
                **(
                    {"choices": list(axis.choices)}
                    if isinstance(axis, ChoiceAxis)
                    else {"low": axis.low, "high": axis.high, "log": axis.log}
                ),
            }
            for axis in axes
        ],
        "trials": [
            {
                "trial": t.number,
                "fate": t.fate,
                "value": t.value,
                "values": [t.params.get(axis.path) for axis in axes],
                "heights": [None if h < 0 else float(f"{h:.6g}") for h in row],
            }
            for t, row in zip(trials, heights, strict=True)
        ],
    }
