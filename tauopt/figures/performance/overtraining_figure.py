"""Overtraining: scores of the training and of the test split, with Kolmogorov-Smirnov tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tauopt.figures.figure_style import (
    LINES,
    FigurePoints,
    SampleLabel,
    headroom,
    label,
    log_y,
    new_figure,
    rounded,
    styled,
)
from tauopt.figures.performance.trial_figures import SCORE_BINS
from tauopt.metrics.histogram import BinFractions, Binning, WeightedValues, fractions
from tauopt.metrics.predictions import Predictions
from tauopt.physics.homogeneity import kolmogorov_smirnov, weighted_kolmogorov_smirnov

_FINE = 2000
"""Number of quantiles of both samples at which the distribution functions are compared."""


def same_distribution(one: WeightedValues, other: WeightedValues) -> tuple[float, float]:
    """Compare two weighted samples by a Kolmogorov-Smirnov test.

    Args:
        one, other: values and weights of the samples.
    Returns:
        the distance, taken at 2000 quantiles of both samples together, which can only shorten it;
        and its p-value (see `physics.homogeneity`), NaN where a few candidates hold most weight.
    """
    values = np.concatenate([one.values, other.values]).astype(np.float64)
    weights = np.concatenate([one.weights, other.weights]).astype(np.float64)
    sizes = np.array([len(one.values), len(other.values)], np.float64)
    if not sizes.all():
        return float("nan"), float("nan")
    edges = np.unique(np.quantile(values, np.arange(1, _FINE) / _FINE))
    index = np.searchsorted(edges, values, side="right")
    size = len(edges) + 1
    part = np.repeat([0, 1], sizes.astype(np.int64))
    counted = np.bincount(part * size + index, weights, minlength=2 * size)
    sums = np.asarray(counted, np.float64).reshape(2, size)
    if (weights == weights[0]).all():
        test = kolmogorov_smirnov(sums / weights[0])
    else:
        squares = np.bincount(index, weights**2, minlength=size)
        test = weighted_kolmogorov_smirnov(
            sums, squares.astype(np.float64), sizes=sizes, fourth=float(np.sum(weights**4))
        )
    return float(test.statistic[0]), float(test.p[0])


@styled
def overtraining_figure(
    train: Predictions, test: Predictions, *, sample: SampleLabel
) -> tuple[Figure, FigurePoints]:
    """Draw the scores of signal and background in the test split, and as points in training.

    Each has unit area; bars and bands are the roots of the sums of squared weights.

    Args:
        train: candidates of the training split.
        test: candidates of the test split.
        sample: label of the test candidates.
    """
    figure, axes = new_figure()
    bins = Binning(np.concatenate([[-1.0], SCORE_BINS, [2.0]]))  # with empty overflows
    points: FigurePoints = {"edges": rounded(SCORE_BINS), "kinds": {}, "classes": {}}
    shown = []
    for number, (kind, is_signal) in enumerate({"background": False, "signal": True}.items()):
        parts = [_values(split, split.is_signal == is_signal) for split in (train, test)]
        distance, p = same_distribution(*parts)
        train_density, test_density = (_densities(part, bins) for part in parts)
        ks_text = f"KS p = {p:.2g}" if np.isfinite(p) else "KS: too few"
        _draw(axes, train_density, test_density, number=number, name=f"{kind}, {ks_text}")
        shown += [train_density.values, test_density.values]
        points["kinds"][kind] = {
            "train": _columns(train_density),
            "test": _columns(test_density),
            "ks_distance": _known(distance),
            "ks_p_value": _known(p),
        }
    for index, name in enumerate(test.classes):
        parts = [_values(split, split.labels == index) for split in (train, test)]
        distance, p = same_distribution(*parts)
        points["classes"][name] = {"ks_distance": _known(distance), "ks_p_value": _known(p)}
    densities = np.concatenate(shown)
    text = f"N = {len(train):,} training, {len(test):,} test\n{sample.weights}; errors: 68 %"
    points["note"] = text
    log_y(axes)
    axes.set_xlim(0.0, 1.0)
    top = float(densities.max())
    headroom(axes, bottom=max(densities[densities > 0].min() / 2, top / 1e5), top=2 * top, free=0.3)
    axes.set_xlabel("Score")
    axes.set_ylabel("Density")
    axes.legend(loc="upper center", ncols=2, title=text, columnspacing=1.2, fontsize=10)
    label(axes, sample)
    return figure, points


def _values(predictions: Predictions, chosen: NDArray[np.bool_]) -> WeightedValues:
    return WeightedValues(predictions.score[chosen], predictions.weights[chosen])


def _densities(part: WeightedValues, bins: Binning) -> BinFractions:
    inside = WeightedValues(np.clip(part.values, 0.0, np.nextafter(1.0, 0.0)), part.weights)
    histogram = fractions(inside, bins)
    width = np.diff(SCORE_BINS)
    return BinFractions(histogram.values[1:-1] / width, histogram.errors[1:-1] / width)


def _draw(axes: Axes, train: BinFractions, test: BinFractions, *, number: int, name: str) -> None:
    style = LINES[number]
    centres = (SCORE_BINS[1:] + SCORE_BINS[:-1]) / 2
    axes.stairs(test.values, SCORE_BINS, label=f"test: {name}", linewidth=1.6, **style)
    low, high = test.values - test.errors, test.values + test.errors
    axes.stairs(high, SCORE_BINS, baseline=np.maximum(low, 0), fill=True, color=style["color"],
                alpha=0.2, linewidth=0)  # fmt: skip
    axes.errorbar(
        centres, train.values, train.errors, fmt="os"[number], color=style["color"],
        markersize=4, markerfacecolor="white", elinewidth=1.0, label="training",
    )  # fmt: skip


def _columns(density: BinFractions) -> dict[str, Any]:
    return {"density": rounded(density.values), "error": rounded(density.errors)}


def _known(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None
