"""One-against-rest ROC curves of a multiclass network: each class against all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tauopt.figures.figure_style import (
    FigurePoints,
    SampleLabel,
    curve_style,
    headroom,
    label,
    log_y,
    rounded,
    styled,
)
from tauopt.figures.panels import (
    largest_shown,
    legend_share,
    main_and_ratio,
    ratio_axes,
    triples,
)
from tauopt.figures.performance.trial_figures import ROC_GRID
from tauopt.metrics.background_rejection import rejections
from tauopt.metrics.binned_counts import estimate_columns
from tauopt.metrics.paired_curves import paired_curves
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import auc
from tauopt.metrics.scored_trial import ScoredTrial

_FEW = 6
"""Largest number of classes with a legend of the usual font size."""


def against_rest(predictions: Predictions, name: str) -> Predictions | None:
    """Return one class as signal and all others as background; the score is its probability.

    Args:
        predictions: of all classes.
        name: the class.
    Returns:
        predictions of the classes `rest` and `name`; None where the class, or all others, have no
        positive sum of weights.
    """
    index = predictions.classes.index(name)
    sums = np.bincount(predictions.labels, predictions.weights, minlength=len(predictions.classes))
    present = sums > 0
    if not present[index] or present.sum() < 2:
        return None
    kept = predictions.where(present[predictions.labels])
    # Each class gets the same sum of weights, so that the most frequent one does not hide others.
    factors = np.where(present, 1.0 / np.where(present, sums, 1.0), 0.0) * len(kept)
    factors /= present.sum()
    chosen = kept.probabilities[:, index]
    return Predictions(
        np.stack([1.0 - chosen, chosen], axis=1),
        (kept.labels == index).astype(np.int16),
        kept.weights * factors[kept.labels],
        classes=("rest", name),
        signal=(name,),
        columns=kept.columns,
    )


@styled
def one_against_rest_figure(
    contenders: Sequence[ScoredTrial], *, sample: SampleLabel, rng: np.random.Generator
) -> tuple[Figure, FigurePoints]:
    """Draw the rejection of all other classes against the efficiency of each class.

    Below are ratios to a reference with the same classes.

    Args:
        contenders: the trial and perhaps its reference, on the same candidates.
        sample: label of the candidates.
        rng: generator for the bootstraps.
    """
    first = contenders[0].predictions
    same = len(contenders) > 1 and contenders[1].predictions.classes == first.classes
    figure, main, below = main_and_ratio(ratio=same)
    text = f"N = {len(first):,}; classes of the rest weigh the same\n{sample.weights}; errors: 68 %"
    points: FigurePoints = {"note": text, "classes": {}, "ratios": {}}
    tops, ratios = [10.0], []
    for number, name in enumerate(first.classes):
        against = against_rest(first, name)
        if against is None:
            continue
        style = curve_style(number)
        curve = against.roc_curve
        line = rejections(curve, ROC_GRID)
        measurable = np.array([not rejection.limit for rejection in line])
        value, low, high = triples(line)[measurable].T
        main.plot(ROC_GRID[measurable], value, label=f"{name}: AUC {auc(curve)}", **style)
        main.fill_between(
            ROC_GRID[measurable], low, high, color=style["color"], alpha=0.13, linewidth=0
        )
        tops.append(largest_shown(line))
        points["classes"][name] = {
            "auc": auc(curve).triple,
            "signal_efficiency": rounded(ROC_GRID),
            "rejection": estimate_columns(line),
        }
        other = against_rest(contenders[1].predictions, name) if same else None
        if below is not None and other is not None:
            paired = paired_curves(against, other, ROC_GRID, rng=rng).ratios
            ratio = [
                value if known else None for value, known in zip(paired, measurable, strict=True)
            ]
            below.plot(ROC_GRID, triples(ratio)[:, 0], **style)
            points["ratios"][name] = estimate_columns(ratio)
            ratios += ratio
    if below is not None:
        ratio_axes(below, ratios, to=contenders[1].name, most=(0.2, 0.75))
    log_y(main)
    main.set_xlim(ROC_GRID[0], 1.0)
    (below or main).set_xlabel("Efficiency of the class")
    main.set_ylabel("Rejection of all others")
    legend = main.legend(
        loc="upper right", title=text, alignment="right",
        fontsize=10 if len(points["classes"]) <= _FEW else 8,
    )  # fmt: skip
    headroom(main, bottom=1.0, top=max(tops), free=legend_share(legend))
    figure.align_ylabels()
    label(main, sample)
    return figure, points
