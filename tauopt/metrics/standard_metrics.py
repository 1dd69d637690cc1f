"""The standard set of metrics that every trial reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.background_rejection import rejections
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import accuracy, balanced_accuracy
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import auc

EFFICIENCIES = (0.6, 0.75, 0.85, 0.95)
"""Signal efficiencies of the standard rejections: ATLAS's 1-prong working points."""
PRONGS = (1, 3)
"""Numbers of prongs that are measured separately, where a split has them."""


def summary(predictions: Predictions) -> dict[str, Estimate]:
    """Return `accuracy`, `balanced_accuracy`, `auc`, `rejection@0.6` ..., and per prong `.../1p`.

    Per prong there are `auc` and `rejection`; a task without background has no ROC curve, and
    `accuracy` and `balanced_accuracy` instead. Prongs that lack signal or background (without
    background in the task: that have one class only) are left out.

    Raises:
        DataError: there is one class only, or a score is not finite.
    """
    if not predictions.has_background:
        return _accuracies_by_prongs(predictions)
    numbers = _accuracies(predictions, "") | _curve_numbers(predictions, "")
    for prongs in PRONGS:
        chosen = chosen_prongs(predictions, prongs)
        if chosen is not None:
            numbers |= _curve_numbers(chosen, f"/{prongs}p")
    return numbers


def _accuracies_by_prongs(predictions: Predictions) -> dict[str, Estimate]:
    numbers = _accuracies(predictions, "")
    for prongs in PRONGS:
        if "prongs" in predictions.columns:
            chosen = predictions.with_prongs(prongs)
            if np.count_nonzero(class_sums(chosen) > 0) > 1:
                numbers |= _accuracies(chosen, f"/{prongs}p")
    return numbers


def class_sums(predictions: Predictions) -> NDArray[np.float64]:
    """Return the sum of weights of each true class, (class,)."""
    sums = np.bincount(predictions.labels, predictions.weights, minlength=len(predictions.classes))
    return np.asarray(sums, np.float64)


def _accuracies(predictions: Predictions, suffix: str) -> dict[str, Estimate]:
    return {
        f"accuracy{suffix}": accuracy(predictions),
        f"balanced_accuracy{suffix}": balanced_accuracy(predictions),
    }


def chosen_prongs(predictions: Predictions, prongs: int) -> Predictions | None:
    """Return the candidates with this number of prongs; None if they lack signal or background."""
    if "prongs" not in predictions.columns:
        return None
    chosen = predictions.with_prongs(prongs)
    signal = chosen.is_signal
    sums = chosen.weights[signal].sum(), chosen.weights[~signal].sum()
    return chosen if min(sums) > 0 else None


def _curve_numbers(predictions: Predictions, suffix: str) -> dict[str, Estimate]:
    curve = predictions.roc_curve
    values = rejections(curve, np.array(EFFICIENCIES))
    pairs = zip(EFFICIENCIES, values, strict=True)
    return {f"auc{suffix}": auc(curve)} | {f"rejection@{at:g}{suffix}": v for at, v in pairs}
