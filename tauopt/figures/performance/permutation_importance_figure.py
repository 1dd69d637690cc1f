"""Permutation importance: loss of AUC when each feature or group is permuted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tauopt.figures.figure_style import DPI, FigurePoints, SampleLabel, note, shortened, styled
from tauopt.figures.panels import plain_ticks, triples
from tauopt.metrics.binned_counts import estimate_columns
from tauopt.metrics.permutation_importance import PermutationImportance, metric_of
from tauopt.metrics.predictions import Predictions

_HOW = (
    "permuted among candidates; a feature of objects with all its objects, among candidates with "
    "the same number of them; a group with its mask, among all; mean of five permutations"
)
_LETTERS = 44
"""Longest name that is shown whole; of a longer one both ends are."""
_LINE = 0.18
"""Height of a line of the note, in inches."""
MOST = 30
"""Number of features that are drawn, the most important ones."""


@styled
def importance_figure(
    importances: Sequence[PermutationImportance], predictions: Predictions, *, sample: SampleLabel
) -> tuple[Figure, FigurePoints]:
    """Draw the loss from permuting each feature or group, the most important one on top.

    Args:
        importances: of features, or of groups.
        predictions: unpermuted predictions of the candidates.
        sample: label of the candidates.
    """
    ordered = sorted(importances, key=lambda entry: -entry.lost.value)
    shown = ordered[:MOST]
    text = note(predictions, sample)
    left_out = len(ordered) - len(shown)
    text += f"\n{left_out} less important ones not shown" if left_out else ""
    figure, axes = _panel(len(shown), lines=text.count("\n") + 1)
    value, low, high = triples([entry.lost for entry in shown]).T
    places = np.arange(len(shown))
    axes.barh(places, value, height=0.62, color="#9ecae1", edgecolor="#0072b2", linewidth=0.8)
    axes.errorbar(
        value, places, xerr=[value - low, high - value], fmt="none", color="black", elinewidth=1.1
    )
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(places, [_both_ends(entry.name) for entry in shown], fontsize=10)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    metric = {"auc": "AUC"}.get(metric_of(predictions).metric, metric_of(predictions).metric)
    most = float(np.abs([low, high]).max(initial=0.0))
    plain_ticks(axes, "x", most=most, text=f"{metric} lost when permuted")
    _finish(figure, axes, text=text, sample=sample)
    return figure, {
        "note": text,
        "metric": metric,
        "how": _HOW,
        "names": [entry.name for entry in ordered],
        "lost": estimate_columns([entry.lost for entry in ordered]),
    }


def _panel(rows: int, *, lines: int) -> tuple[Figure, Axes]:
    """Return a figure with room for rows of bars, and for lines of a note below them."""
    below = 0.72 + _LINE * lines
    height = 0.42 + 0.46 + 0.24 * rows + below
    figure = Figure(figsize=(7.2, height), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.34, right=0.965, bottom=below / height, top=1 - 0.42 / height)
    return figure, axes


def _finish(figure: Figure, axes: Axes, *, text: str, sample: SampleLabel) -> None:
    """Make room for the names of bars, and write title and note."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    widths = [tick.get_window_extent(renderer).width for tick in axes.get_yticklabels()]
    widest = max(widths, default=0.0)
    figure.subplots_adjust(left=min((widest / DPI + 0.25) / figure.get_figwidth(), 0.6))
    height, right = figure.get_figheight(), axes.get_position().x1
    figure.text(right, 0.1 / height, text, ha="right", va="bottom", multialignment="right",
                fontsize=9.5)  # fmt: skip
    figure.text(0.03, 1 - 0.34 / height, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, 1 - 0.34 / height, shortened(sample.heading, 60), size=11.5, ha="right")


def _both_ends(name: str) -> str:
    if len(name) <= _LETTERS:
        return name
    half = _LETTERS // 2
    return f"{name[: half - 1]}…{name[-half:]}"
