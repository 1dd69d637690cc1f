"""Figures of a prepared dataset: functions from arrays to a `Figure` and its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from tauopt.figures.figure_style import (
    FigurePoints,
    SampleLabel,
    curve_style,
    label,
    log_y,
    new_figure,
    rounded,
    styled,
)
from tauopt.figures.panels import PLAIN, legend_above, pair_of_panels, title
from tauopt.metrics.histogram import (
    BinFractions,
    Binning,
    WeightedValues,
    binning,
    counted,
    fractions,
    of_sums,
    with_ends,
)

_SPIKE = 0.5
"""Part of a class in one bin from which on the y axis is logarithmic."""
_LEAST = 1e-5
"""Lowest fraction that a logarithmic axis shows."""


@styled
def feature_figure(
    physical: Mapping[str, WeightedValues],
    seen: Mapping[str, WeightedValues],
    *,
    name: str,
    transform: str,
    sample: SampleLabel,
) -> tuple[Figure, FigurePoints]:
    """Draw a feature of each class: at the left as it is, at the right as networks see it.

    Fractions of each class's weight a bin, under- and overflow in the shaded bins at the ends;
    bands are statistical errors (68 %).

    Args:
        physical: values by class.
        seen: the same after transform and constants.
        name: of the feature, with its group.
        transform: in words, for the right axis.
        sample: what it is.
    """
    figure, panels = pair_of_panels()
    points: FigurePoints = {"feature": name, "note": f"{counted(physical)}\n{sample.weights}"}
    texts = {"physical": name, "seen": f"What networks see: {transform}"}
    for axes, (key, of) in zip(panels, {"physical": physical, "seen": seen}.items(), strict=True):
        bins = binning(of.values())
        shown = {one: fractions(values, bins) for one, values in of.items()}
        points[key] = _histograms(axes, shown, bins)
        axes.set_xlabel(texts[key], fontsize=12)
    _finish(figure, panels, note=points["note"], sample=sample)
    return figure, points


@styled
def spectrum_figure(
    spectra: Mapping[str, Any], *, sample: SampleLabel
) -> tuple[Figure, FigurePoints]:
    """Draw the balanced variable of each class before and after balancing.

    Args:
        spectra: as `prepare` writes them: edges, and of each class the sums of weights.
        sample: what it is.
    """
    figure, panels = pair_of_panels()
    edges = np.array(spectra["edges"])
    log = bool(edges[0] > 0 and not np.allclose(np.diff(edges), np.diff(edges)[0]))
    bins = with_ends(edges, log=log)
    total = sum(one["candidates"] for one in spectra["classes"].values())
    points: FigurePoints = {
        "variable": spectra["variable"],
        "note": f"N = {total:,} candidates\nphysics weights before, balanced ones after",
    }
    for axes, when in zip(panels, ("before", "after"), strict=True):
        shown = {
            name: of_sums(np.array(one[when]["sums"]), np.array(one[when]["squares"]))
            for name, one in spectra["classes"].items()
        }
        points[when] = _histograms(axes, shown, bins, log_fractions=True)
        axes.set_xlabel(f"{spectra['variable']} {when} balancing", fontsize=12)
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    _finish(figure, panels, note=points["note"], sample=sample)
    return figure, points


@styled
def multiplicity_figure(
    counts: Mapping[str, WeightedValues], *, group: str, length: int | None, sample: SampleLabel
) -> tuple[Figure, FigurePoints]:
    """Draw how many objects candidates of each class have, against the number that is kept.

    Args:
        counts: objects a candidate, by class.
        group: what the objects are.
        length: objects kept a candidate; None where no model says.
        sample: what it is.
    """
    figure, axes = new_figure(size=(7.2, 5.6))
    figure.subplots_adjust(top=0.77)
    everything = np.concatenate([one.values for one in counts.values()])
    top = max(float(np.quantile(everything, 0.999)), length or 0, 3) if len(everything) else 3.0
    bins = with_ends(np.arange(0.0, np.ceil(top) + 2.0) - 0.5)
    shown = {name: fractions(one, bins) for name, one in counts.items()}
    points: FigurePoints = {"group": group, "note": f"{counted(counts)}\n{sample.weights}"}
    points |= _histograms(axes, shown, bins, underflow=False)
    whole = {most: float(np.mean(everything <= most)) for most in range(int(np.ceil(top)) + 1)}
    points |= {"length": length, "whole": {str(most): part for most, part in whole.items()}}
    enough = next((most for most, part in whole.items() if part >= 0.99), int(top))
    text = f"99 % of the candidates have at most {enough}"
    if length is not None:
        axes.axvline(length + 0.5, color="#666666", linewidth=1.6, linestyle="-", zorder=0.5)
        cut = 100 * (1 - whole[length])
        text = f"kept: {length} (line); {cut:.2g} % of the candidates have more\n{text}"
    axes.set_ylim(top=1.2 * axes.get_ylim()[1])
    axes.text(
        0.96,
        0.97,
        text,
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=10.5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2},
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(f"Number of {group.replace('_', ' ')} of a candidate")
    _finish(figure, [axes], note=points["note"], sample=sample)
    return figure, points


@styled
def correlation_figure(
    matrix: NDArray[np.float64],
    names: Sequence[str],
    *,
    title: str,
    number: int,
    sample: SampleLabel,
) -> tuple[Figure, FigurePoints]:
    """Draw linear correlations in per cent; a dash where a feature is constant.

    Args:
        matrix: (feature, feature) as `histogram.correlation` returns it.
        names: of the features.
        title: of which class and group.
        number: rows that it is made from.
        sample: what it is.
    """
    figure, axes = new_figure(size=(8.4, 7.4))
    figure.subplots_adjust(left=0.25, bottom=0.24, top=0.93, right=0.97)
    # Light at zero and dark at both ends; the sign is in the numbers, and so readable in grey.
    axes.imshow(np.nan_to_num(matrix), cmap="PuOr", vmin=-1.3, vmax=1.3, aspect="auto")
    size = float(np.clip(15 - 0.5 * len(names), 6.5, 11))
    for (row, column), value in np.ndenumerate(matrix):
        axes.text(
            column,
            row,
            "–" if np.isnan(value) else f"{100 * value:.0f}".replace("-0", "0").replace("-", "−"),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if abs(value) > 0.72 else "black",
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=10)
    axes.set_yticks(range(len(names)), names, fontsize=10)
    axes.minorticks_off()
    axes.tick_params(length=0)
    note = f"{title}: correlation in per cent of what networks see; N = {number:,}"
    figure.text(0.02, 0.02, f"{note}\n{sample.weights}", fontsize=10.5, va="bottom")
    label(axes, sample)
    plain = [[None if np.isnan(v) else float(f"{v:.6g}") for v in row] for row in matrix]
    return figure, {"title": title, "note": note, "names": list(names), "correlation": plain}


def _histograms(
    axes: Axes,
    shown: Mapping[str, BinFractions],
    bins: Binning,
    *,
    log_fractions: bool = False,
    underflow: bool = True,
) -> FigurePoints:
    """Draw one line a class, and return the points."""
    drawn = {name: one for name, one in shown.items() if not one.empty}
    peak = max((float(one.values.max()) for one in drawn.values()), default=1.0)
    log_fractions = log_fractions or peak > _SPIKE
    if bins.log:
        _log_x(axes, bins)
    for number, (name, one) in enumerate(shown.items()):
        style = curve_style(number)
        if name in drawn:
            # Empty bins are gaps of a logarithmic axis, not lines down to its end.
            values = np.where(one.values > 0, one.values, np.nan) if log_fractions else one.values
            axes.stairs(values, bins.edges, label=name, linewidth=1.5, baseline=None, **style)
            low, high = values - one.errors, values + one.errors
            axes.stairs(high, bins.edges, baseline=low, fill=True, alpha=0.18, color=style["color"])
    axes.set_xlim(bins.edges[0 if underflow else 1], bins.edges[-1])
    if log_fractions:
        log_y(axes)
        smallest = min((v for one in drawn.values() for v in one.values[one.values > 0]), default=1)
        axes.set_ylim(max(_LEAST, smallest / 2), 3 * peak)
    else:
        axes.set_ylim(0.0, 1.12 * peak)
    _mark_ends(axes, bins, underflow=underflow)
    axes.set_ylabel("Fraction of weight")
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "linear":
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(PLAIN)
    return {
        "edges": rounded(bins.edges),
        "classes": {
            name: {"fraction": rounded(one.values), "error": rounded(one.errors)}
            for name, one in shown.items()
        },
    }


def _log_x(axes: Axes, bins: Binning) -> None:
    axes.set_xscale("log")
    decades = float(np.log10(bins.edges[-1] / bins.edges[0]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)))
    axes.xaxis.set_major_formatter(PLAIN)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _mark_ends(axes: Axes, bins: Binning, *, underflow: bool) -> None:
    ends = [(bins.edges[-2], bins.edges[-1])]
    if underflow:
        ends.append((bins.edges[0], bins.edges[1]))
    for low, high in ends:
        axes.axvspan(low, high, color="#dddddd", zorder=0, linewidth=0)


def _finish(figure: Figure, panels: Sequence[Axes], *, note: str, sample: SampleLabel) -> None:
    """Put one legend above the panels, and say of what they are."""
    text = f"{note}; bands: 68 %, statistical; shaded: beyond the range"
    size = 10.5 if len(panels) > 1 else 9.0
    legend_above(figure, panels, text=text, size=size)
    where = ", ".join(part for part in (sample.name, sample.selection) if part)
    title(figure, panels, where=where)
