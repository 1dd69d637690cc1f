"""Calibration of class probabilities: reliability diagram, expected calibration error."""

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
from tauopt.metrics.binned_counts import binned_efficiencies, count_by_bin, estimate_columns
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import ScoredTrial

Floats = NDArray[np.float64]
EDGES = np.linspace(0.0, 1.0, 16)
"""Bins of the probability: 15, as in C. Guo et al., ICML 2017 (arXiv:1706.04599)."""


@dataclass(frozen=True)
class Calibration:
    """Predicted probabilities in bins, with the fraction of candidates for which they are true.

    Attributes:
        probabilities: (bin,) weighted mean probability; NaN in an empty bin.
        fractions: [bin] weighted fraction of candidates for which the prediction is true.
        shares: (bin,) of the sum of weights.
        error: expected calibration error, the sum of share x |fraction - probability|.
    """

    probabilities: Floats
    fractions: list[Estimate | None]
    shares: Floats
    error: Estimate

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            "edges": rounded(EDGES),
            "probability": [
                None if not np.isfinite(v) else float(f"{v:.6g}") for v in self.probabilities
            ],
            "fraction": estimate_columns(self.fractions),
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
    """Compare predicted probabilities with observed fractions in bins of the probability.

    Args:
        probability: (N,) predicted, in [0, 1].
        is_true: (N,) bool, whether the prediction is true.
        weights: (N,) may be negative; in the class proportions of the training, since these set the
            prior of the predicted probabilities.
        rng: generator for the bootstrap.
    Source:
        M. P. Naeini et al., AAAI 2015; C. Guo et al., ICML 2017 (arXiv:1706.04599).
    """
    bins = len(EDGES) - 1
    index = np.searchsorted(EDGES[1:-1], probability, side="right")
    sums = np.asarray(np.bincount(index, weights, minlength=bins), np.float64)
    filled = sums > 0
    weighted = np.bincount(index, weights * probability, minlength=bins)
    means: Floats = np.where(filled, weighted / np.where(filled, sums, 1.0), np.nan)
    binned = count_by_bin(is_true[:, None], weights, index=index, bins=bins)
    replicas = binned.resampled(rng)
    errors = _calibration_error(binned.fractions(replicas)[..., 0], replicas.sum(axis=-1), means)
    signed = binned.signed
    value = float(_calibration_error(binned.fractions(signed)[:, 0], signed.sum(axis=-1), means))
    # Noise only raises the calibration error, so replicas scatter about a larger value than the
    # sample's: only their standard deviation is used.
    error = float(errors.std())
    return Calibration(
        means,
        [row[0] for row in binned_efficiencies(binned, rng=rng)],
        np.where(filled, sums, 0.0) / max(float(sums[filled].sum()), 1e-300),
        Estimate(value, max(value - error, 0.0), value + error),
    )


def _calibration_error(fractions: Floats, sums: Floats, probabilities: Floats) -> Floats:
    """Return the calibration error, (...), of (..., bin) fractions and sums of weights."""
    known = (sums > 0) & np.isfinite(fractions) & np.isfinite(probabilities)
    gaps = np.where(known, np.abs(np.where(known, fractions - probabilities, 0.0)), 0.0)
    kept = np.where(known, sums, 0.0)
    return np.asarray((gaps * kept).sum(axis=-1) / np.maximum(kept.sum(axis=-1), 1e-300))


def as_trained(trial: ScoredTrial) -> Predictions:
    """Return the candidates with weights in the class proportions of the training."""
    predictions = trial.predictions
    if not trial.factors:
        return predictions
    factors = np.array([trial.factors[name] for name in predictions.classes])
    return replace(predictions, weights=predictions.weights * factors[predictions.labels])


@styled
def calibration_figure(
    contenders: Sequence[ScoredTrial], *, sample: SampleLabel, rng: np.random.Generator
) -> tuple[Figure, FigurePoints]:
    """Draw a reliability diagram, and below it the distribution of the probabilities.

    Weights are in the class proportions of each trial's training. With more than two classes, the
    probability of the most probable class is drawn too. Stored scores are left out: they need not
    be probabilities.

    Args:
        contenders: on the same candidates.
        sample: label of the candidates.
        rng: generator for the bootstraps.
    """
    figure, main, below = main_and_ratio(ratio=True)
    text = f"N = {len(contenders[0].predictions):,}\n{sample.weights}; errors: 68 %"
    points: FigurePoints = {"note": text, "curves": {}}
    main.plot([0, 1], [0, 1], color="#777777", linewidth=1.0, zorder=0)
    curves = [curve for trial in contenders if not trial.score_only for curve in _curves(trial)]
    for number, (name, probability, is_true, weights) in enumerate(curves):
        curve = calibration(probability, is_true, weights, rng=rng)
        points["curves"][name] = curve.as_json()
        _draw(main, below, curve, name=name, number=number)
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


PredictedProbabilities = tuple[str, NDArray[Any], NDArray[np.bool_], Floats]
"""Name of a curve, and of each candidate: probability, whether it is true, weight, all (N,)."""


def _curves(trial: ScoredTrial) -> list[PredictedProbabilities]:
    """Return the probability of being signal, and that of the most probable class."""
    curves: list[PredictedProbabilities] = []
    predictions = as_trained(trial)
    weights, probabilities = predictions.weights, predictions.probabilities
    if predictions.has_background:
        score = np.minimum(predictions.score, 1)  # sums of probabilities round
        curves.append((f"{trial.name}: signal", score, predictions.is_signal, weights))
    if len(predictions.classes) > 2:
        right = probabilities.argmax(axis=1) == predictions.labels
        highest = np.minimum(probabilities.max(axis=1), 1)
        curves.append((f"{trial.name}: class", highest, right, weights))
    return curves


def _draw(main: Axes, below: Axes | None, curve: Calibration, *, name: str, number: int) -> None:
    style = LINES[number % len(LINES)]
    value, low, high = triples(curve.fractions).T
    main.errorbar(
        curve.probabilities, value, yerr=[value - low, high - value],
        marker=MARKERS[number % len(MARKERS)], markersize=4.8, elinewidth=1.1,
        label=f"{name}: calibration error {curve.error}", **style,
    )  # fmt: skip
    if below is not None:
        below.stairs(curve.shares, EDGES, linewidth=1.5, baseline=None, **style)
