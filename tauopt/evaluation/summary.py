"""The standard set of numbers that every trial reports."""

from __future__ import annotations

import numpy as np

from tauopt.evaluation.measured import Measured
from tauopt.evaluation.metrics import accuracy
from tauopt.evaluation.predictions import Predictions
from tauopt.evaluation.roc import auc, rejections, roc

EFFICIENCIES = (0.6, 0.75, 0.85, 0.95)
"""Signal efficiencies of the standard rejections: ATLAS's 1-prong working points."""
PRONGS = (1, 3)
"""Prongs that are looked at by themselves, where a split has them."""


def summary(predictions: Predictions) -> dict[str, Measured]:
    """Return `auc`, `accuracy` and `rejection@0.6` ... `rejection@0.95`, and per prong `.../1p`.

    Prongs that lack signal or background are left out.

    Raises:
        DataError: one class only, or a score that is not finite.
    """
    numbers = {"accuracy": accuracy(predictions)} | _curve_numbers(predictions, "")
    for prongs in PRONGS:
        chosen = chosen_prongs(predictions, prongs)
        if chosen is not None:
            numbers |= _curve_numbers(chosen, f"/{prongs}p")
    return numbers


def chosen_prongs(predictions: Predictions, prongs: int) -> Predictions | None:
    """Return the candidates with that many prongs; None if they can't be judged by themselves."""
    if "prongs" not in predictions.columns:
        return None
    chosen = predictions.with_prongs(prongs)
    signal = chosen.is_signal
    sums = chosen.weights[signal].sum(), chosen.weights[~signal].sum()
    return chosen if min(sums) > 0 else None


def _curve_numbers(predictions: Predictions, suffix: str) -> dict[str, Measured]:
    curve = roc(predictions.score, predictions.is_signal, predictions.weights)
    values = rejections(curve, np.array(EFFICIENCIES))
    named = zip(EFFICIENCIES, values, strict=True)
    return {f"auc{suffix}": auc(curve)} | {f"rejection@{at:g}{suffix}": v for at, v in named}
