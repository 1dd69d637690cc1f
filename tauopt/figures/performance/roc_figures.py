"""ROC curves with error bands and working points, and ratios to a reference."""

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
from tauopt.figures.panels import (
    largest_shown,
    legend_share,
    main_and_ratio,
    ratio_axes,
    triples,
)
from tauopt.figures.performance.trial_figures import ROC_GRID
from tauopt.metrics.background_rejection import rejections
from tauopt.metrics.binned_counts import (
    binned_efficiencies,
    binned_rejections,
    count_by_bin,
    estimate_columns,
)
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.paired_curves import paired_curves
from tauopt.metrics.roc import auc
from tauopt.metrics.scored_trial import ScoredTrial

_NAMED = 12
"""Longest name of a working point beside its marker, in characters."""


@styled
def roc_ratio_figure(
    contenders: Sequence[ScoredTrial],
    *,
    sample: SampleLabel,
    rng: np.random.Generator,
    base: int = -1,
    least: float = 1.0,
) -> tuple[Figure, FigurePoints]:
    """Draw background rejection against signal efficiency, and the ratios to one of the curves.

    Bands are 68 % intervals: of a curve from `roc.rejections`, of a ratio from a paired bootstrap.
    Curves end where no background passes. Markers are working points, at the measured efficiency
    and rejection of their decisions.

    Args:
        contenders: the trial and perhaps references, on the same candidates.
        sample: label of the candidates.
        rng: generator for the bootstraps.
        base: position of the denominator of the ratios; by default the last.
        least: a signal efficiency that the axis must contain.
    Raises:
        DataError: there is one class only, or the candidates differ.
    """
    first = contenders[0].predictions
    figure, main, below = main_and_ratio(ratio=len(contenders) > 1)
    points: FigurePoints = {"note": note(first, sample), "curves": {}}
    tops: list[float] = []
    grid = _grid(least)
    measurable = np.ones(len(grid), np.bool_)
    for number, trial in enumerate(contenders):
        predictions = trial.predictions
        curve = predictions.roc_curve
        line, area = rejections(curve, grid), auc(curve)
        _draw(main, grid, line, number=number, text=f"{trial.name}: AUC {area}")
        working = _markers(main, trial, number=number, rng=rng)
        tops.append(largest_shown(line))
        measurable &= [not rejection.limit for rejection in line]
        points["curves"][trial.name] = {
            "auc": area.triple,
            "signal_efficiency": rounded(grid),
            "rejection": estimate_columns(line),
            "working_points": working,
        }
    if below is not None:
        points["ratio"] = _ratios(below, contenders, contenders[base], grid, measurable, rng=rng)
    log_y(main)
    main.set_xlim(grid[0], 1.0)
    (below or main).set_xlabel("Signal efficiency")
    main.set_ylabel("Background rejection (1 / efficiency)")
    legend = main.legend(loc="upper right", title=points["note"], alignment="right")
    headroom(main, bottom=1.0, top=max(10.0, *tops), free=legend_share(legend))
    _name_working_points(main, points["curves"][contenders[0].name]["working_points"])
    figure.align_ylabels()
    label(main, sample)
    return figure, points


def _grid(least: float) -> NDArray[np.float64]:
    """Return the signal efficiencies of curves, from a little below `least` to 1."""
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
    measurable = np.array([not rejection.limit for rejection in line])
    value, low, high = triples(line)[measurable].T
    axes.plot(grid[measurable], value, label=text, **style)
    axes.fill_between(grid[measurable], low, high, color=style["color"], alpha=0.2, linewidth=0)


def _markers(
    axes: Axes, trial: ScoredTrial, *, number: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw the working points, and return them by name: efficiency and rejection, with errors."""
    predictions = trial.predictions
    if not trial.passes:
        return {}
    passes = np.stack(list(trial.passes.values()), axis=1)
    of_signal, of_background = (
        count_by_bin(passes[kind], predictions.weights[kind])
        for kind in (predictions.is_signal, ~predictions.is_signal)
    )
    signal = binned_efficiencies(of_signal, rng=rng)[0]
    rejection = binned_rejections(of_background, rng=rng)[0]
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
        for name, at, value in zip(trial.passes, signal, rejection, strict=True)
    }


def _name_working_points(axes: Axes, points: Mapping[str, Any]) -> None:
    """Write the names of working points, from `_markers`, beside their markers."""
    known = {
        name[:_NAMED]: (point["signal_efficiency"][0], point["rejection"][0])
        for name, point in points.items()
        if point["signal_efficiency"] and point["rejection"]
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
    ratios: dict[str, list[Estimate | None]] = {}
    for number, trial in enumerate(contenders):
        if trial is not base:
            paired = paired_curves(trial.predictions, base.predictions, grid, rng=rng)
            ratios[trial.name] = [
                ratio if known else None
                for ratio, known in zip(paired.ratios, measurable, strict=True)
            ]
            value, low, high = triples(ratios[trial.name]).T
            axes.plot(grid, value, **LINES[number])
            axes.fill_between(grid, low, high, color=LINES[number]["color"], alpha=0.2, linewidth=0)
    shown = [ratio for line in ratios.values() for ratio in line]
    ratio_axes(axes, shown, to=base.name, most=(0.15, 0.75))
    return {
        "signal_efficiency": rounded(grid),
        "to": base.name,
        "of": {name: estimate_columns(line) for name, line in ratios.items()},
    }
