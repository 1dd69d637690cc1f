"""Label placement: names beside points of a figure, clear of everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PLACES = ((1, 1), (-1, -1), (1, -1), (-1, 1), (0, 1), (0, -1), (1, 0), (-1, 0))
"""Directions from a point to its name, preferred ones first."""
_DISTANCES = (6.0, 12.0, 20.0)
"""Distances between point and name, in typographic points."""
_ALONG = {1: "left", 0: "center", -1: "right"}
_ACROSS = {1: "bottom", 0: "center", -1: "top"}
"""Alignment of a name for each direction."""
_STEP, _PAD = 2.0, 1.5
"""Pixels between the spots that sample a line, and around a name."""


def name_points(axes: Axes, points: Mapping[str, tuple[float, float]], *, size: float) -> None:
    """Write names beside points, clear of lines, error bars, legend, frame and each other.

    A name without a free place gets the one with least overlap. Limits, lines and legend must be
    final.

    Args:
        axes: with everything drawn.
        points: name -> (x, y) in data coordinates.
        size: font size.
    """
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    spots, legend = _spots(axes), axes.get_legend()
    taken = [legend.get_window_extent(renderer)] if legend else []
    for name, place in points.items():
        text = axes.annotate(
            name, place, xytext=(0, 0), textcoords="offset points", fontsize=size, zorder=5,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip
        candidates: list[tuple[float, int, Bbox]] = []
        places = list(_places())
        for number, (offset, aligned) in enumerate(places):
            text.set(position=offset, **aligned)
            box = text.get_window_extent(renderer).padded(_PAD)
            candidates.append((_overlap(box, spots, taken, inside=axes.bbox), number, box))
        _, number, box = min(candidates, key=lambda candidate: candidate[:2])
        offset, aligned = places[number]
        text.set(position=offset, **aligned)
        taken.append(box)


def _places() -> Iterator[tuple[tuple[float, float], dict[str, str]]]:
    """Yield offsets in typographic points, with the alignment for each."""
    for distance in _DISTANCES:
        for x, y in _PLACES:
            yield (distance * x, distance * y), {"ha": _ALONG[x], "va": _ACROSS[y]}


def _overlap(box: Bbox, spots: Floats, taken: list[Bbox], *, inside: Bbox) -> float:
    """Return the overlap of a name's box: spots of lines plus pixels of other text.

    What sticks out of the axes counts ten times.
    """
    overlap = float(box.count_contains(spots))
    overlap += sum(_common(box, other) for other in taken)
    return overlap + 10.0 * (box.width * box.height - _common(box, inside))


def _common(one: Bbox, other: Bbox) -> float:
    """Return the common area of two boxes, in square pixels."""
    both = Bbox.intersection(one, other)
    return both.width * both.height if both else 0.0


def _spots(axes: Axes) -> Floats:
    """Return spots along all lines and error bars, (spot, 2) in pixels."""
    lines = [np.asarray(line.get_xydata(), np.float64) for line in axes.lines]
    for bars in axes.collections:
        if isinstance(bars, LineCollection):
            lines += [np.asarray(bar, np.float64) for bar in bars.get_segments()]
    drawn = [axes.transData.transform(line) for line in lines if len(line)]
    return np.concatenate([np.empty((0, 2)), *(_filled(line) for line in drawn)])


def _filled(line: Floats) -> Floats:
    """Return a line in pixels, (point, 2), with a point at every step."""
    line = line[np.isfinite(line).all(axis=1)]
    lengths = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    if len(line) < 2 or not 0 < along[-1] < 1e5:
        return line
    at = np.linspace(0.0, along[-1], int(along[-1] / _STEP) + 2)
    return np.column_stack([np.interp(at, along, line[:, axis]) for axis in (0, 1)])
