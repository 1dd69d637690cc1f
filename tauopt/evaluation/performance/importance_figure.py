"""The figure of permutation importance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tauopt.evaluation.cells import columns_of
from tauopt.evaluation.drawing.panels import PLAIN, triples
from tauopt.evaluation.drawing.style import DPI, Points, Sample, label, note, styled
from tauopt.evaluation.importance import Importance, metric_of
from tauopt.evaluation.predictions import Predictions

_HOW = (
    "exchanged among candidates; a feature of objects with all its objects, among candidates with "
    "the same number of them; a group with its mask, among all; mean of five permutations"
)
MOST = 30
"""Features that are drawn, the most important ones."""


@styled
def importance_figure(
    found: Sequence[Importance], predictions: Predictions, *, sample: Sample
) -> tuple[Figure, Points]:
    """Draw what is lost without each feature or group, the most important one on top.

    Args:
        found: features, or groups.
        predictions: of the candidates that were permuted, before.
        sample: what they are.
    """
    ordered = sorted(found, key=lambda one: -one.lost.value)
    shown = ordered[:MOST]
    height = 1.6 + 0.24 * len(shown)
    figure = Figure(figsize=(7.2, height), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.34, right=0.965, bottom=0.72 / height, top=1 - 0.42 / height)
    value, low, high = triples([one.lost for one in shown]).T
    places = np.arange(len(shown))
    axes.barh(places, value, height=0.62, color="#9ecae1", edgecolor="#0072b2", linewidth=0.8)
    axes.errorbar(
        value, places, xerr=[value - low, high - value], fmt="none", color="black", elinewidth=1.1
    )
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(places, [one.name for one in shown], fontsize=10)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(PLAIN)
    metric = {"auc": "AUC"}.get(metric_of(predictions).metric, metric_of(predictions).metric)
    axes.set_xlabel(f"{metric} lost when permuted")
    text = note(predictions, sample)
    left_out = len(ordered) - len(shown)
    text += f"\n{left_out} less important ones not shown" if left_out else ""
    axes.text(0.975, 0.03, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=9.5,
              linespacing=1.35)  # fmt: skip
    label(axes, sample)
    return figure, {
        "note": text,
        "metric": metric,
        "how": _HOW,
        "names": [one.name for one in ordered],
        "lost": columns_of([one.lost for one in ordered]),
    }
