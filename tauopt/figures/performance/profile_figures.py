"""Efficiency and background rejection of working points in bins of a variable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tauopt.figures.figure_style import (
    LINES,
    MARKERS,
    FigurePoints,
    SampleLabel,
    headroom,
    label,
    log_y,
    styled,
)
from tauopt.figures.panels import main_and_ratio, ratio_axes, triples
from tauopt.metrics.efficiency_profiles import EfficiencyProfile, ProfileKind, profile
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.variable_axes import VariableAxis, choose_axis

TEXTS = {"efficiency": "Signal efficiency", "rejection": "Background rejection (1 / efficiency)"}
_SHIFT = 0.12
"""Shift of a reference's points, in half bins."""
_FREE = 0.42
"""Part of the axes above the points, for the legend."""


@styled
def profile_figure(
    contenders: Sequence[ScoredTrial],
    axis: VariableAxis,
    kind: ProfileKind,
    *,
    sample: SampleLabel,
    rng: np.random.Generator,
) -> tuple[Figure, FigurePoints] | None:
    """Draw efficiency or rejection in bins of a variable, and the ratio to a reference.

    Full markers are the trial's, open ones the reference's, at the same signal efficiency over
    all bins. Bars are 68 % intervals (see `binned_counts.binned_efficiencies`); arrows are lower
    limits.

    Args:
        contenders: the trial and perhaps its reference, on the same candidates, with decisions of
            working points.
        axis: bins of a spectator.
        kind: efficiency of the signal, or rejection of the background.
        sample: label of the candidates.
        rng: generator for the bootstrap.
    Returns:
        figure and points; None where there are no candidates.
    """
    profiles = profile(contenders, axis, kind, rng=rng)
    if profiles.empty:
        return None
    number = f"{int(profiles.counts.sum()):,} {'signal' if kind == 'efficiency' else 'background'}"
    text = f"N = {number}\n{sample.weights}; errors: 68 %, statistical"
    figure, main, below = main_and_ratio(ratio=len(contenders) > 1)
    for position, trial in enumerate(contenders):
        for style, (name, bins) in enumerate(profiles.values[trial.name].items()):
            curve = name if len(contenders) == 1 else f"{name}, {trial.name}"
            series(main, axis, bins, number=style, text=curve, hollow=position > 0)
    if below is not None:
        for style, bins in enumerate(profiles.ratios.values()):
            series(below, axis, bins, number=style, text="", hollow=False)
        ratios = [ratio for bins in profiles.ratios.values() for ratio in bins]
        ratio_axes(below, ratios, to=contenders[1].name)
    y_limits(main, profiles)
    x_axis(below or main, axis)
    main.set_ylabel(TEXTS[kind])
    columns = {"ncols": len(contenders), "columnspacing": 1.0, "handletextpad": 0.4}
    main.legend(
        loc="upper center", title=text, fontsize=9.5, frameon=True, framealpha=0.9,
        edgecolor="none", **columns,
    )  # fmt: skip
    figure.align_ylabels()
    label(main, sample)
    return figure, {"note": text, **profiles.as_json()}


def series(
    axes: Axes,
    axis: VariableAxis,
    bins: Sequence[Estimate | None],
    *,
    number: int,
    text: str,
    hollow: bool,
    aside: int = 1,
) -> None:
    """Draw estimates in bins; hollow markers are shifted by `aside` steps, without bars along x."""
    x, half = axis.centres, np.abs(np.stack([axis.centres - axis.drawn[:-1],
                                             axis.drawn[1:] - axis.centres]))  # fmt: skip
    moved = x + aside * _SHIFT * half[1] if hollow else x
    value, low, high = triples(bins).T
    limit = np.array([bool(estimate and estimate.limit) for estimate in bins])
    style = LINES[(number + 1) % len(LINES)]
    axes.errorbar(
        moved, value,
        xerr=None if hollow else half,
        yerr=[value - low, np.where(limit, 0.25 * value, high - value)],
        lolims=limit, fmt=MARKERS[number % len(MARKERS)], color=style["color"], label=text or None,
        markerfacecolor="white" if hollow else style["color"],
        markersize=4.8, elinewidth=1.1, linestyle="none",
    )  # fmt: skip


def y_limits(axes: Axes, profiles: EfficiencyProfile) -> None:
    """Set the y axis to the values of a profile, with room for a legend above them."""
    series_of_bins = [bins for points in profiles.values.values() for bins in points.values()]
    shown = [estimate for bins in series_of_bins for estimate in bins if estimate]
    low, high = min(point.low for point in shown), max(point.high for point in shown)
    most = max(point.value for point in shown)
    if profiles.kind == "rejection":
        log_y(axes)
        headroom(axes, bottom=max(low / 1.6, 0.8), top=min(high, 3.0 * most), free=_FREE)
        return
    bottom = max(0.0, low - 0.12)
    axes.set_ylim(bottom, bottom + (min(high, 1.2) - bottom) / (1.0 - _FREE))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= 1.0 + 1e-9])


def x_axis(axes: Axes, axis: VariableAxis) -> None:
    """Set up the x axis of a variable, with names where its bins are values."""
    axes.set_xlabel(axis.text)
    axes.set_xlim(axis.drawn[0], axis.drawn[-1])
    if axis.names:
        axes.set_xticks(axis.centres, axis.names)
    if axis.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def choose_axes(
    trial: ScoredTrial, names: Sequence[str], kind: ProfileKind = "efficiency"
) -> list[VariableAxis]:
    """Choose bins of the variables that the candidates have and that are not constant.

    Args:
        trial: with spectators.
        names: names of variables.
        kind: bins are chosen by the signal, or for rejections by the background.
    """
    predictions = trial.predictions
    chosen = predictions.is_signal if kind == "efficiency" else ~predictions.is_signal
    axes = [
        choose_axis(name, predictions.columns[name], among=chosen, weights=predictions.weights)
        for name in names
        if name in predictions.columns
    ]
    return [axis for axis in axes if axis is not None]
