"""A score on some candidates, and which of them pass its working points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.predictions import Predictions
from tauopt.metrics.score_cuts import (
    CutsOnScore,
    derive_prong_cuts,
    measured_efficiencies,
    name_efficiencies,
)
from tauopt.metrics.standard_metrics import EFFICIENCIES, PRONGS


@dataclass(frozen=True)
class ScoredTrial:
    """The score of a trial, or of the reference that it is compared with."""

    name: str
    """Name in figures and tables."""
    predictions: Predictions
    passes: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Working point -> (N,) bool, the tightest first."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Class -> factor of its weights in training; empty where that is unknown."""
    score_only: bool = False
    """Whether only a score is known: classes of `predictions` are then signal and background."""

    def where(self, mask: NDArray[np.bool_]) -> ScoredTrial:
        """Return the candidates for which `mask`, (N,) bool, is true."""
        chosen = {name: passed[mask] for name, passed in self.passes.items()}
        return replace(self, predictions=self.predictions.where(mask), passes=chosen)


def from_stored_score(
    name: str, score: NDArray[np.floating], predictions: Predictions
) -> ScoredTrial:
    """Return a stored score as the score of a trial.

    Args:
        name: name of the score.
        score: (N,) higher is more like signal; any scale.
        predictions: of the same candidates, for truth, weights and spectators.
    """
    # Not probabilities: class and signal score are right for a score of any scale.
    pair = np.stack([-score, score], axis=1)
    as_predictions = Predictions(
        pair.astype(np.float32),
        predictions.is_signal.astype(np.int16),
        predictions.weights,
        classes=("background", "signal"),
        signal=("signal",),
        columns=predictions.columns,
    )
    return ScoredTrial(name, as_predictions, score_only=True)


def apply_working_points(
    contenders: Sequence[ScoredTrial],
    points: CutsOnScore | None,
    *,
    efficiencies: Sequence[float] = EFFICIENCIES,
) -> list[ScoredTrial]:
    """Apply working points: fill `passes` of the trial and of those that it is compared with.

    Args:
        contenders: the trial, then those that it is compared with.
        points: working points of the trial's model; None derives one cut for each number of prongs
            (see `derive_prong_cuts`).
        efficiencies: signal efficiencies of these cuts.
    Returns:
        the trial with its own working points; the others with cuts of the same signal efficiencies
        for each number of prongs, so that their rejections can be compared.
    Raises:
        DataError: there is one class only.
    """
    first, *others = contenders
    targets = dict.fromkeys((0, *PRONGS), name_efficiencies(efficiencies))
    first_cuts = points or derive_prong_cuts(first.predictions, efficiencies=targets)
    matched = measured_efficiencies(first_cuts, first.predictions)
    with_cuts = [(first, first_cuts)] + [
        (other, derive_prong_cuts(other.predictions, efficiencies=matched)) for other in others
    ]
    return [
        replace(
            trial,
            passes=dict(cuts.passes(trial.predictions.score, cut_variables(trial.predictions))),
        )
        for trial, cuts in with_cuts
    ]


def cut_variables(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """Return the variables of working points beside the score: spectators and `against_<class>`.

    The latter is signal / (signal + that class), as saved models return it; 0 where both are 0.

    Returns:
        columns by name, each (N,).
    """
    columns: dict[str, NDArray[Any]] = dict(predictions.columns)
    signal = predictions.score
    for index, name in enumerate(predictions.classes):
        if name not in predictions.signal:
            total = signal + predictions.probabilities[:, index]
            columns[f"against_{name}"] = np.divide(
                signal, total, where=total > 0, out=np.zeros_like(signal)
            )
    return columns
