"""Figures of one trial: ROC curve, scores, confusion matrix, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tauopt.figures.figure_style import (
    LINES,
    MARKERS,
    FigurePoints,
    SampleLabel,
    curve_style,
    headroom,
    label,
    log_y,
    new_figure,
    note,
    rounded,
    styled,
)
from tauopt.figures.panels import largest_shown, legend_share, plain_ticks, seen_unit
from tauopt.metrics.background_rejection import rejections
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import confusion
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import auc
from tauopt.metrics.standard_metrics import EFFICIENCIES, PRONGS, chosen_prongs

ROC_GRID = np.linspace(0.2, 1.0, 161)
"""Signal efficiencies of a drawn ROC curve."""
_LETTERS = 66
"""Longest axis label below a figure at the usual font size."""
_FLAT = 1e-3
"""Smallest span of an axis over its largest value, so that ticks of a flat curve stay short."""
SCORE_BINS = np.linspace(0.0, 1.0, 31)


@styled
def roc_figure(predictions: Predictions, *, sample: SampleLabel) -> tuple[Figure, FigurePoints]:
    """Draw background rejection against signal efficiency, for all candidates and per prong.

    Bands and bars are 68 % intervals (see `roc.rejections`). Where no background passes, the
    curve ends; the working points there are lower limits, drawn as arrows.

    Args:
        predictions: on one split.
        sample: label of this split.
    Raises:
        DataError: there is one class only.
    """
    figure, axes = new_figure()
    chosen = {"all": predictions} | {
        f"{prongs}-prong": part
        for prongs in PRONGS
        if (part := chosen_prongs(predictions, prongs)) is not None
    }
    points: FigurePoints = {"note": note(predictions, sample), "curves": {}}
    tops: list[float] = []
    for number, (name, part) in enumerate(chosen.items()):
        curve = part.roc_curve
        line = rejections(curve, ROC_GRID)
        working = rejections(curve, np.array(EFFICIENCIES))
        tops.append(largest_shown([*line, *working]))
        area = auc(curve)
        _draw_curve(axes, line, working, number=number, text=f"{name}: AUC {area}")
        points["curves"][name] = {
            "auc": area.triple,
            **_columns("signal_efficiency", ROC_GRID, line),
            "working_points": _columns("signal_efficiency", EFFICIENCIES, working),
        }
    log_y(axes)
    axes.set_xlim(ROC_GRID[0], 1.0)
    axes.set_xlabel("Signal efficiency")
    axes.set_ylabel("Background rejection (1 / efficiency)")
    legend = axes.legend(loc="upper right", title=points["note"], alignment="right")
    headroom(axes, bottom=1.0, top=max(10.0, *tops), free=legend_share(legend))
    label(axes, sample)
    return figure, points


def _draw_curve(
    axes: Axes, line: Sequence[Estimate], working: Sequence[Estimate], *, number: int, text: str
) -> None:
    style = LINES[number]
    measurable = np.array([not rejection.limit for rejection in line])
    value, low, high = np.array([rejection.triple for rejection in line])[measurable].T
    axes.plot(ROC_GRID[measurable], value, label=text, **style)
    axes.fill_between(
        ROC_GRID[measurable], low, high, color=style["color"], alpha=0.18, linewidth=0
    )
    value, low, high = np.array([rejection.triple for rejection in working]).T
    limit = np.array([rejection.limit for rejection in working])
    axes.errorbar(
        EFFICIENCIES,
        value,
        yerr=[value - low, np.where(limit, value, high - value)],
        lolims=limit,
        fmt=MARKERS[number],
        color=style["color"],
        markersize=4.5,
        markerfacecolor="white",
        elinewidth=1.2,
    )


def _columns(name: str, x: Any, values: Sequence[Estimate]) -> FigurePoints:
    value, low, high = np.array([rejection.triple for rejection in values]).T
    return {
        name: rounded(x),
        "rejection": rounded(value),
        "low": rounded(low),
        "high": rounded(high),
        "limit": [rejection.limit for rejection in values],
    }


@styled
def score_figure(predictions: Predictions, *, sample: SampleLabel) -> tuple[Figure, FigurePoints]:
    """Draw the distribution of the signal score for each true class, each of unit area.

    Bars are the roots of the sums of squared weights. Background classes are filled.
    """
    figure, axes = new_figure()
    centres = (SCORE_BINS[1:] + SCORE_BINS[:-1]) / 2
    points: FigurePoints = {"note": note(predictions, sample), "edges": rounded(SCORE_BINS)}
    points["classes"] = {}
    smallest = largest = 1.0
    for index, name in enumerate(predictions.classes):
        density, error = _density(predictions, index)
        points["classes"][name] = {"density": rounded(density), "error": rounded(error)}
        if not density.any():
            continue
        style = curve_style(index)
        if name not in predictions.signal:
            axes.stairs(density, SCORE_BINS, fill=True, color="#bbbbbb", alpha=0.6)
        axes.stairs(density, SCORE_BINS, label=name, linewidth=1.6, **style)
        axes.errorbar(centres, density, error, fmt="none", color=style["color"], elinewidth=0.9)
        smallest = min(smallest, density[density > 0].min())
        largest = max(largest, density.max())
    log_y(axes)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("Score: probability of " + _signal_name(predictions))
    axes.set_ylabel("Density")
    legend = axes.legend(loc="upper center", ncols=3, title=points["note"], columnspacing=1.2)
    least = max(smallest / 2, largest / 1e5)
    headroom(axes, bottom=least, top=2 * largest, free=legend_share(legend))
    label(axes, sample)
    return figure, points


def _density(predictions: Predictions, index: int) -> tuple[Any, Any]:
    chosen = predictions.labels == index
    score, weights = predictions.score[chosen], predictions.weights[chosen]
    inside = np.clip(score, SCORE_BINS[0], SCORE_BINS[-1])
    sums = np.histogram(inside, SCORE_BINS, weights=weights)[0]
    squares = np.histogram(inside, SCORE_BINS, weights=weights**2)[0]
    total = weights.sum()
    if not total > 0:
        return np.zeros(len(sums)), np.zeros(len(sums))
    scale = 1.0 / (total * np.diff(SCORE_BINS))
    return sums * scale, np.sqrt(squares) * scale


def _signal_name(predictions: Predictions) -> str:
    return predictions.signal[0] if len(predictions.signal) == 1 else "any signal class"


@styled
def confusion_figure(
    predictions: Predictions, *, sample: SampleLabel, by: Literal["true", "predicted"] = "true"
) -> tuple[Figure, FigurePoints]:
    """Draw the confusion matrix in per cent.

    Args:
        predictions: on one split.
        sample: label of this split.
        by: rows (true classes) add up to 100, or columns (predicted classes) do.
    """
    matrix = confusion(predictions, by=by)
    classes = len(predictions.classes)
    figure, axes = new_figure()
    axes.imshow(100 * matrix.fractions, cmap="Greys", vmin=0, vmax=115, aspect="auto")
    size = float(np.clip(13 - 0.7 * classes, 5.5, 11))
    for row in range(classes):
        for column in range(classes):
            fraction, error = 100 * matrix.fractions[row, column], 100 * matrix.errors[row, column]
            axes.text(
                column,
                row,
                f"{fraction:.1f}\n± {error:.1f}" if matrix.counts[row] else "-",
                ha="center",
                va="center",
                fontsize=size,
                color="white" if fraction > 68 else "black",
            )
    names = [f"{n}\nN = {c:,}" for n, c in zip(predictions.classes, matrix.counts, strict=True)]
    axes.set_xticks(range(classes), predictions.classes, fontsize=size + 1)
    axes.set_yticks(range(classes), names, fontsize=size)
    axes.minorticks_off()
    axes.tick_params(length=0)
    lines = "rows" if by == "true" else "columns"
    text = f"Predicted class ({lines} in per cent; {sample.weights})"
    axes.set_xlabel(text, fontsize=min(14.0, 14.0 * _LETTERS / len(text)))
    axes.set_ylabel("True class")
    figure.subplots_adjust(left=0.2)
    label(axes, sample)
    return figure, {
        "note": note(predictions, sample),
        "classes": list(predictions.classes),
        "fractions": rounded(matrix.fractions),
        "errors": rounded(matrix.errors),
        "counts": matrix.counts.tolist(),
    }


@styled
def training_figure(
    history: Sequence[Mapping[str, float]],
    *,
    objective: str,
    kept: float,
    sample: SampleLabel,
    text: str = "",
) -> tuple[Figure, FigurePoints]:
    """Draw losses and objective against the candidates seen, with a star at the report that counts.

    Args:
        history: one mapping for each report with `candidates_seen`, `loss`, `val_loss` and the
            objective; with `<objective>_low` and `<objective>_high` it gets a 68 % band.
        objective: name of the objective, such as `rejection@0.75`.
        kept: the objective of the model that the trial keeps; of equal reports it is that with the
            lowest loss.
        sample: label of the data.
        text: N and weights, as the title of the legend.
    """
    figure, (above, below) = new_figure(rows=2)
    seen = _series(history, "candidates_seen")
    unit, divisor = seen_unit(float(seen.max()))
    x = seen / divisor
    size = 4 if len(x) <= 40 else 0
    for number, (name, split) in enumerate({"loss": "training", "val_loss": "validation"}.items()):
        above.plot(
            x, _series(history, name), label=split, marker=MARKERS[number], markersize=size,
            **LINES[number],
        )  # fmt: skip
    values = _series(history, objective)
    below.plot(x, values, marker=MARKERS[0], markersize=size, **LINES[0])
    low, high = _series(history, f"{objective}_low"), _series(history, f"{objective}_high")
    below.fill_between(x, low, high, color="black", alpha=0.18, linewidth=0)
    best = np.lexsort([_series(history, "val_loss"), np.abs(values - kept)])[0]
    below.plot(
        x[best], values[best], "*", color="#d55e00", markersize=12, zorder=4,
        label=f"best: {float(f'{values[best]:.4g}'):,g}",
    )  # fmt: skip
    plain_ticks(below, "x", most=float(x.max()), text=unit)
    above.margins(x=0.03)
    above.legend(loc="upper right", title=text, alignment="right")
    below.legend(loc="upper left")
    losses = _series(history, "loss"), _series(history, "val_loss")
    for axes, name, shown, free in (
        (above, "Loss", losses, 0.4), (below, objective, (values, low, high), 0.2),
    ):  # fmt: skip
        least, most = np.nanmin(shown), np.nanmax(shown)
        largest = max(abs(least), abs(most))
        height = max(most - least, _FLAT * largest) or 1.0
        axes.set_ylim(least - 0.06 * height, most + free / (1 - free) * height)
        plain_ticks(axes, "y", most=largest, text=name)
    figure.align_ylabels()
    label(above, sample)
    names = ("candidates_seen", "loss", "val_loss", objective)
    return figure, {name: _plain(_series(history, name)) for name in names}


def _series(history: Sequence[Mapping[str, float]], name: str) -> Any:
    return np.array([float(report.get(name, np.nan)) for report in history])


def _plain(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
