"""Figures of features, spectra, multiplicities and correlations of a prepared dataset."""

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
    count_text,
    fractions,
    fractions_from_sums,
    with_ends,
)

_SPIKE = 0.5
"""Fraction of a class in one bin above which the y axis is logarithmic."""
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
    """Draw a feature of each class: at the left in physical units, at the right as network input.

    The y axis is the fraction of each class's weight in a bin, with under- and overflow in the
    shaded bins at the ends; bands are statistical errors (68 %).

    Args:
        physical: values by class.
        seen: the same after transform and constants.
        name: name of the feature, with its group.
        transform: formula of transform and constants, for the right axis.
        sample: label of the candidates.
    """
    figure, panels = pair_of_panels()
    points: FigurePoints = {"feature": name, "note": f"{count_text(physical)}\n{sample.weights}"}
    texts = {"physical": name, "seen": f"Network input: {transform}"}
    values_of = {"physical": physical, "seen": seen}
    for axes, (key, classes) in zip(panels, values_of.items(), strict=True):
        bins = binning(classes.values())
        shown = {class_: fractions(values, bins) for class_, values in classes.items()}
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
        spectra: as `prepare` writes them: edges, and sums of weights by class.
        sample: label of the candidates.
    """
    figure, panels = pair_of_panels()
    edges = np.array(spectra["edges"])
    log = bool(edges[0] > 0 and not np.allclose(np.diff(edges), np.diff(edges)[0]))
    bins = with_ends(edges, log=log)
    total = sum(spectrum["candidates"] for spectrum in spectra["classes"].values())
    points: FigurePoints = {
        "variable": spectra["variable"],
        "note": f"N = {total:,} candidates\nphysics weights before, balanced ones after",
    }
    for axes, when in zip(panels, ("before", "after"), strict=True):
        shown = {
            name: fractions_from_sums(
                np.array(spectrum[when]["sums"]), np.array(spectrum[when]["squares"])
            )
            for name, spectrum in spectra["classes"].items()
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
    """Draw the multiplicity of objects by class, with the number of objects that a model keeps.

    Args:
        counts: number of objects of each candidate, by class.
        group: name of the objects.
        length: objects of a candidate that a model keeps; None without a model.
        sample: label of the candidates.
    """
    figure, axes = new_figure(size=(7.2, 5.6))
    figure.subplots_adjust(top=0.77)
    every_count = np.concatenate([numbers.values for numbers in counts.values()])
    top = max(float(np.quantile(every_count, 0.999)), length or 0, 3) if len(every_count) else 3.0
    bins = with_ends(np.arange(0.0, np.ceil(top) + 2.0) - 0.5)
    shown = {name: fractions(values, bins) for name, values in counts.items()}
    points: FigurePoints = {"group": group, "note": f"{count_text(counts)}\n{sample.weights}"}
    points |= _histograms(axes, shown, bins, underflow=False)
    # Fraction of the candidates of which a model with this length keeps all objects.
    whole = {most: float(np.mean(every_count <= most)) for most in range(int(np.ceil(top)) + 1)}
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
        names: names of the features.
        title: group and class.
        number: rows from which it was computed.
        sample: label of the candidates.
    """
    figure, axes = new_figure(size=(8.4, 7.4))
    figure.subplots_adjust(left=0.25, bottom=0.24, top=0.93, right=0.97)
    # Light at zero and dark at both ends: in grey the numbers show the sign.
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
    note = f"{title}: correlation of network inputs in per cent; N = {number:,}"
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
    """Draw one histogram for each class, and return the points."""
    drawn = {name: histogram for name, histogram in shown.items() if not histogram.empty}
    peak = max((float(histogram.values.max()) for histogram in drawn.values()), default=1.0)
    log_fractions = log_fractions or peak > _SPIKE
    if bins.log:
        _log_x(axes, bins)
    for number, (name, histogram) in enumerate(shown.items()):
        style = curve_style(number)
        if name in drawn:
            # On a logarithmic axis empty bins are gaps, not lines down to its end.
            values = (
                np.where(histogram.values > 0, histogram.values, np.nan)
                if log_fractions
                else histogram.values
            )
            axes.stairs(values, bins.edges, label=name, linewidth=1.5, baseline=None, **style)
            low, high = values - histogram.errors, values + histogram.errors
            axes.stairs(high, bins.edges, baseline=low, fill=True, alpha=0.18, color=style["color"])
    axes.set_xlim(bins.edges[0 if underflow else 1], bins.edges[-1])
    if log_fractions:
        log_y(axes)
        smallest = min(
            (v for histogram in drawn.values() for v in histogram.values[histogram.values > 0]),
            default=1,
        )
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
            name: {"fraction": rounded(histogram.values), "error": rounded(histogram.errors)}
            for name, histogram in shown.items()
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
    """Put one legend with the note above the panels, and the sample above it."""
    text = f"{note}; bands: 68 %, statistical; shaded: beyond the range"
    size = 10.5 if len(panels) > 1 else 9.0
    legend_above(figure, panels, text=text, size=size)
    title(figure, panels, heading=sample.heading)
