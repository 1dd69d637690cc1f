"""The ROC curve of an approval talk: band, working points and the ratio to a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tauopt.figures.figure_style import (
    LINES,
    MARKERS,
    FigurePoints,
    SampleLabel,
    headroom,
    label,
    log_y,
    note,
    rounded,
    styled,
)
from tauopt.figures.label_placement import name_points
from tauopt.figures.panels import free_for, main_and_ratio, ratio_axes, top_of, triples
from tauopt.figures.performance.trial_figures import ROC_GRID
from tauopt.metrics.binned_counts import cells_of, columns_of, efficiencies
from tauopt.metrics.binned_counts import rejections as background_rejections
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.paired_curves import paired_curves
from tauopt.metrics.roc import auc, rejections, roc
from tauopt.metrics.scored_trial import ScoredTrial

_NAMED = 12
"""Characters of a working point's name beside its marker."""


@styled
def roc_ratio_figure(
    contenders: Sequence[ScoredTrial],
    *,
    sample: SampleLabel,
    rng: np.random.Generator,
    base: int = -1,
    least: float = 1.0,
) -> tuple[Figure, FigurePoints]:
    """Draw background rejection against signal efficiency, and the ratios to one of them.

    Bands are 68 % intervals, of a curve as `roc.rejections` has them, of the ratio from a paired
    bootstrap. Curves end where no background passes. Markers are working points, at the
    efficiency and rejection that their decisions have.

    Args:
        contenders: the trial and, if there is one, its reference, on the same candidates; or more.
        sample: what they are, for the label.
        rng: of the bootstraps.
        base: position of the one that ratios are to: the last.
        least: signal efficiency that is shown in any case.
    Raises:
        DataError: one class only, or not the same candidates.
    """
    first = contenders[0].predictions
    figure, main, below = main_and_ratio(ratio=len(contenders) > 1)
    points: FigurePoints = {"note": note(first, sample), "curves": {}}
    tops: list[float] = []
    grid = _grid(least)
    measurable = np.ones(len(grid), np.bool_)
    for number, one in enumerate(contenders):
        curve = roc(one.predictions.score, one.predictions.is_signal, one.predictions.weights)
        line, under = rejections(curve, grid), auc(curve)
        _draw(main, grid, line, number=number, text=f"{one.name}: AUC {under}")
        working = _markers(main, one, number=number, rng=rng)
        tops.append(top_of(line))
        measurable &= [not value.limit for value in line]
        points["curves"][one.name] = {
            "auc": under.triple,
            "signal_efficiency": rounded(grid),
            "rejection": columns_of(line),
            "working_points": working,
        }
    if below is not None:
        points["ratio"] = _ratios(below, contenders, contenders[base], grid, measurable, rng=rng)
    log_y(main)
    main.set_xlim(grid[0], 1.0)
    (below or main).set_xlabel("Signal efficiency")
    main.set_ylabel("Background rejection (1 / efficiency)")
    legend = main.legend(loc="upper right", title=points["note"], alignment="right")
    headroom(main, bottom=1.0, top=max(10.0, *tops), free=free_for(legend))
    _name_working_points(main, points["curves"][contenders[0].name]["working_points"])
    figure.align_ylabels()
    label(main, sample)
    return figure, points


def _grid(least: float) -> NDArray[np.float64]:
    """Return signal efficiencies of curves, with `least` and some room to its left among them."""
    start = 0.05 * np.floor(least / 0.05 - 0.5)
    return ROC_GRID if start >= ROC_GRID[0] else np.linspace(max(start, 0.005), 1.0, len(ROC_GRID))


def _draw(
    axes: Axes,
    grid: NDArray[np.float64],
    line: Sequence[Estimate],
    *,
    number: int,
    text: str,
) -> None:
    style = LINES[number]
    known = np.array([not measured.limit for measured in line])
    value, low, high = triples(line)[known].T
    axes.plot(grid[known], value, label=text, **style)
    axes.fill_between(grid[known], low, high, color=style["color"], alpha=0.2, linewidth=0)


def _markers(
    axes: Axes, one: ScoredTrial, *, number: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw the working points, and return them by name: efficiency and rejection, with errors."""
    predictions = one.predictions
    if not one.passes:
        return {}
    passes = np.stack(list(one.passes.values()), axis=1)
    of_signal, of_background = (
        cells_of(passes[kind], predictions.weights[kind])
        for kind in (predictions.is_signal, ~predictions.is_signal)
    )
    signal = efficiencies(of_signal, rng=rng)[0]
    rejection = background_rejections(of_background, rng=rng)[0]
    x, y = triples(signal), triples(rejection)
    limit = np.array([bool(value and value.limit) for value in rejection])
    axes.errorbar(
        x[:, 0], y[:, 0],
        xerr=np.abs(x[:, 1:] - x[:, :1]).T,
        yerr=[y[:, 0] - y[:, 1], np.where(limit, y[:, 0], y[:, 2] - y[:, 0])],
        lolims=limit, fmt=MARKERS[number], color=LINES[number]["color"],
        markerfacecolor="white", markersize=5.5, elinewidth=1.2, zorder=4,
    )  # fmt: skip
    return {
        name: {
            "signal_efficiency": at.triple if at else None,
            "rejection": value.triple if value else None,
            "limit": bool(value and value.limit),
        }
        for name, at, value in zip(one.passes, signal, rejection, strict=True)
    }


def _name_working_points(axes: Axes, points: Mapping[str, Any]) -> None:
    """Write the names of working points, from `_markers`, beside their markers."""
    known = {
        name[:_NAMED]: (one["signal_efficiency"][0], one["rejection"][0])
        for name, one in points.items()
        if one["signal_efficiency"] and one["rejection"]
    }
    name_points(axes, known, size=10)


def _ratios(
    axes: Axes,
    contenders: Sequence[ScoredTrial],
    base: ScoredTrial,
    grid: NDArray[np.float64],
    measurable: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Draw ratios to the base where rejections can be measured, and return them by name."""
    found: dict[str, list[Estimate | None]] = {}
    for number, one in enumerate(contenders):
        if one is not base:
            paired = paired_curves(one.predictions, base.predictions, grid, rng=rng)
            found[one.name] = [
                ratio if known else None
                for ratio, known in zip(paired.ratios, measurable, strict=True)
            ]
            value, low, high = triples(found[one.name]).T
            axes.plot(grid, value, **LINES[number])
            axes.fill_between(grid, low, high, color=LINES[number]["color"], alpha=0.2, linewidth=0)
    every = [ratio for of in found.values() for ratio in of]
    ratio_axes(axes, every, to=base.name, most=(0.15, 0.75))
    return {
        "signal_efficiency": rounded(grid),
        "to": base.name,
        "of": {name: columns_of(ratios) for name, ratios in found.items()},
    }
