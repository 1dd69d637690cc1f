"""Is a probability of 0.8 right in 80 % of cases? Reliability, and the calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    label,
    log_y,
    rounded,
    styled,
)
from tauopt.figures.panels import main_and_ratio, triples
from tauopt.metrics.binned_counts import cells_of, columns_of, efficiencies
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import ScoredTrial

Floats = NDArray[np.float64]
EDGES = np.linspace(0.0, 1.0, 16)
"""Bins of the probability: 15, as in C. Guo et al., ICML 2017 (arXiv:1706.04599)."""


@dataclass(frozen=True)
class Calibration:
    """How often what a network holds for likely is true.

    Attributes:
        said: (bin,) mean probability; NaN where there is nothing.
        true: in each bin, the weighted fraction that is true.
        shares: (bin,) of the sum of weights.
        error: the expected calibration error, sum of share x |true - said|.
    """

    said: Floats
    true: list[Estimate | None]
    shares: Floats
    error: Estimate

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        said = [None if not np.isfinite(v) else float(f"{v:.6g}") for v in self.said]
        return {
            "edges": rounded(EDGES),
            "probability": said,
            "fraction": columns_of(self.true),
            "share": rounded(self.shares),
            "expected_calibration_error": self.error.triple,
        }


def calibration(
    probability: NDArray[np.floating],
    is_true: NDArray[np.bool_],
    weights: Floats,
    *,
    rng: np.random.Generator,
) -> Calibration:
    """Compare probabilities with how often they come true.

    Args:
        probability: (N,) in [0, 1].
        is_true: (N,) bool.
        weights: (N,) may be negative; in the proportions of classes for which the network was
            trained, or its probabilities mean something else.
        rng: of the bootstrap.
    Source:
        M. P. Naeini et al., AAAI 2015; C. Guo et al., ICML 2017 (arXiv:1706.04599).
    """
    bins = len(EDGES) - 1
    index = np.searchsorted(EDGES[1:-1], probability, side="right")
    sums = np.asarray(np.bincount(index, weights, minlength=bins), np.float64)
    there = sums > 0
    weighted = np.bincount(index, weights * probability, minlength=bins)
    said: Floats = np.where(there, weighted / np.where(there, sums, 1.0), np.nan)
    cells = cells_of(is_true[:, None], weights, index=index, bins=bins)
    replicas = cells.resampled(rng)
    errors = _expected(cells.fractions(replicas)[..., 0], replicas.sum(axis=-1), said)
    value = float(_expected(cells.fractions(cells.signed)[:, 0], cells.signed.sum(axis=-1), said))
    # Replicas scatter about a value that their own noise has raised: their spread says how much.
    error = float(errors.std())
    return Calibration(
        said,
        [row[0] for row in efficiencies(cells, rng=rng)],
        np.where(there, sums, 0.0) / max(float(sums[there].sum()), 1e-300),
        Estimate(value, max(value - error, 0.0), value + error),
    )


def _expected(true: Floats, sums: Floats, said: Floats) -> Floats:
    """Return the calibration error of (..., bin) fractions and sums of weights."""
    there = (sums > 0) & np.isfinite(true) & np.isfinite(said)
    gaps = np.where(there, np.abs(np.where(there, true - said, 0.0)), 0.0)
    kept = np.where(there, sums, 0.0)
    return np.asarray((gaps * kept).sum(axis=-1) / np.maximum(kept.sum(axis=-1), 1e-300))


def as_trained(one: ScoredTrial) -> Predictions:
    """Return the candidates with weights in the proportions of classes of the training."""
    predictions = one.predictions
    if not one.factors:
        return predictions
    of_class = np.array([one.factors[name] for name in predictions.classes])
    return replace(predictions, weights=predictions.weights * of_class[predictions.labels])


@styled
def calibration_figure(
    contenders: Sequence[ScoredTrial], *, sample: SampleLabel, rng: np.random.Generator
) -> tuple[Figure, FigurePoints]:
    """Draw how often scores come true, and below how the scores are distributed.

    Weights are in the proportions of classes of each one's training, or probabilities would mean
    something else. Of several classes, the most probable one's probability is drawn too. Stored
    scores are left out: nobody says that they are probabilities.

    Args:
        contenders: on the same candidates.
        sample: what the candidates are.
        rng: of the bootstraps.
    """
    figure, main, below = main_and_ratio(ratio=True)
    text = f"N = {len(contenders[0].predictions):,}\n{sample.weights}; errors: 68 %"
    points: FigurePoints = {"note": text, "curves": {}}
    main.plot([0, 1], [0, 1], color="#777777", linewidth=1.0, zorder=0)
    curves = [curve for one in contenders if not one.of_scores for curve in _questions(one)]
    for number, (name, probability, is_true, weights) in enumerate(curves):
        found = calibration(probability, is_true, weights, rng=rng)
        points["curves"][name] = found.as_json()
        _draw(main, below, found, name=name, number=number)
    main.set_xlim(0, 1)
    main.set_ylim(0, 1.42)
    main.set_yticks(np.linspace(0, 1, 6))
    main.set_ylabel("Fraction that is true")
    main.legend(loc="upper left", title=text, alignment="left", fontsize=10)
    if below is not None:
        log_y(below)
        below.set_ylabel("Share")
        below.set_xlabel("Probability")
    figure.align_ylabels()
    label(main, sample)
    return figure, points


CalibrationQuestion = tuple[str, NDArray[Any], NDArray[np.bool_], Floats]


def _questions(one: ScoredTrial) -> list[CalibrationQuestion]:
    """Return what can be asked: name, probability, whether it is true, weights."""
    found: list[CalibrationQuestion] = []
    predictions = as_trained(one)
    score = predictions.score
    if predictions.has_background:
        found.append(
            (
                f"{one.name}: signal",
                np.minimum(score, 1),
                predictions.is_signal,
                predictions.weights,
            )
        )
    if len(predictions.classes) > 2:
        likely = predictions.probabilities.argmax(axis=1)
        top = predictions.probabilities.max(axis=1)
        right = likely == predictions.labels
        found.append((f"{one.name}: class", np.minimum(top, 1), right, predictions.weights))
    return found


def _draw(main: Axes, below: Axes | None, found: Calibration, *, name: str, number: int) -> None:
    style = LINES[number % len(LINES)]
    value, low, high = triples(found.true).T
    error = found.error
    main.errorbar(
        found.said, value, yerr=[value - low, high - value],
        marker=MARKERS[number % len(MARKERS)], markersize=4.8, elinewidth=1.1,
        label=f"{name}: calibration error {error}", **style,
    )  # fmt: skip
    if below is not None:
        below.stairs(found.shares, EDGES, linewidth=1.5, baseline=None, **style)
