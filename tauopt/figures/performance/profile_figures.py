"""Figures of efficiency and rejection against a variable, and of how flat they are."""

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
from tauopt.metrics.variable_axes import VariableAxis, axis_of

TEXTS = {"efficiency": "Signal efficiency", "rejection": "Background rejection (1 / efficiency)"}
_SHIFT = 0.12
"""Of a reference's points, in parts of half a bin."""
_FREE = 0.42
"""Part of the axes above the points."""


@styled
def profile_figure(
    contenders: Sequence[ScoredTrial],
    axis: VariableAxis,
    kind: ProfileKind,
    *,
    sample: SampleLabel,
    rng: np.random.Generator,
) -> tuple[Figure, FigurePoints] | None:
    """Draw what the working points do in bins of a variable, and the ratio to a reference.

    Full markers are the trial's, open ones the reference's, at the same signal efficiency over
    all bins. Bars are 68 % intervals (see `cells.efficiencies`); arrows are lower limits.

    Args:
        contenders: decided, on the same candidates.
        axis: of a spectator.
        kind: efficiency of the signal, or rejection of the background.
        sample: what they are.
        rng: of the bootstrap.
    Returns:
        figure and points; None where there are no candidates.
    """
    found = profile(contenders, axis, kind, rng=rng)
    if found.empty:
        return None
    what = "signal" if kind == "efficiency" else "background"
    text = f"N = {int(found.counts.sum()):,} {what}\n{sample.weights}; errors: 68 %, statistical"
    figure, main, below = main_and_ratio(ratio=len(contenders) > 1)
    for position, one in enumerate(contenders):
        for number, (name, bins) in enumerate(found.values[one.name].items()):
            told = name if len(contenders) == 1 else f"{name}, {one.name}"
            series(main, axis, bins, number=number, text=told, hollow=position > 0)
    if below is not None:
        for number, bins in enumerate(found.ratios.values()):
            series(below, axis, bins, number=number, text="", hollow=False)
        every = [one for bins in found.ratios.values() for one in bins]
        ratio_axes(below, every, to=contenders[1].name)
    y_limits(main, found)
    x_axis(below or main, axis)
    main.set_ylabel(TEXTS[kind])
    order = {"ncols": len(contenders), "columnspacing": 1.0, "handletextpad": 0.4}
    main.legend(
        loc="upper center", title=text, fontsize=9.5, frameon=True, framealpha=0.9,
        edgecolor="none", **order,
    )  # fmt: skip
    figure.align_ylabels()
    label(main, sample)
    return figure, {"note": text, **found.as_json()}


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
    """Draw a number in bins; hollow markers stand aside, by so many steps."""
    x, half = axis.centres, np.abs(np.stack([axis.centres - axis.drawn[:-1],
                                             axis.drawn[1:] - axis.centres]))  # fmt: skip
    moved = x + aside * _SHIFT * half[1] if hollow else x
    value, low, high = triples(bins).T
    limit = np.array([bool(one and one.limit) for one in bins])
    style = LINES[(number + 1) % len(LINES)]
    axes.errorbar(
        moved, value,
        xerr=None if hollow else half,
        yerr=[value - low, np.where(limit, 0.25 * value, high - value)],
        lolims=limit, fmt=MARKERS[number % len(MARKERS)], color=style["color"], label=text or None,
        markerfacecolor="white" if hollow else style["color"],
        markersize=4.8, elinewidth=1.1, linestyle="none",
    )  # fmt: skip


def y_limits(axes: Axes, found: EfficiencyProfile) -> None:
    """Let an axis hold what a profile shows, with room for a legend above it."""
    shown = [one for of in found.values.values() for bins in of.values() for one in bins if one]
    low, high = min(one.low for one in shown), max(one.high for one in shown)
    most = max(one.value for one in shown)
    if found.kind == "rejection":
        log_y(axes)
        headroom(axes, bottom=max(low / 1.6, 0.8), top=min(high, 3.0 * most), free=_FREE)
        return
    bottom = max(0.0, low - 0.12)
    axes.set_ylim(bottom, bottom + (min(high, 1.2) - bottom) / (1.0 - _FREE))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= 1.0 + 1e-9])


def x_axis(axes: Axes, axis: VariableAxis) -> None:
    """Label the axis of a variable, with names where its bins are values."""
    axes.set_xlabel(axis.text)
    axes.set_xlim(axis.drawn[0], axis.drawn[-1])
    if axis.names:
        axes.set_xticks(axis.centres, axis.names)
    if axis.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def axes_of(
    contender: ScoredTrial, names: Sequence[str], kind: ProfileKind = "efficiency"
) -> list[VariableAxis]:
    """Return the axes of those variables that the candidates have, and that differ among them.

    Args:
        contender: with spectators.
        names: of variables.
        kind: bins are chosen by the signal, or for rejections by the background.
    """
    predictions = contender.predictions
    chosen = predictions.is_signal if kind == "efficiency" else ~predictions.is_signal
    found = [
        axis_of(name, predictions.columns[name], of=chosen, weights=predictions.weights)
        for name in names
        if name in predictions.columns
    ]
    return [axis for axis in found if axis is not None]
