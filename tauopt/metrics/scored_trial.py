"""What is judged: a score on some candidates, with the decisions of its working points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.predictions import Predictions
from tauopt.metrics.score_cuts import CutsOnScore, named, plain_points, reached
from tauopt.metrics.standard_metrics import EFFICIENCIES, PRONGS


@dataclass(frozen=True)
class ScoredTrial:
    """A trial's score, or the one that it is compared with."""

    name: str
    """As figures and tables call it."""
    predictions: Predictions
    passes: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Working point -> (N,) bool, the tightest first."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Class -> what its weights were multiplied by in training; empty where that is unknown."""
    of_scores: bool = False
    """Whether there is a score and no more: `predictions` then know no classes of their own."""

    def where(self, mask: NDArray[np.bool_]) -> ScoredTrial:
        """Return the candidates with a True in `mask`, (N,) bool."""
        chosen = {name: passed[mask] for name, passed in self.passes.items()}
        return replace(self, predictions=self.predictions.where(mask), passes=chosen)


def scored(name: str, score: NDArray[np.floating], predictions: Predictions) -> ScoredTrial:
    """Return a stored score as a contender.

    Args:
        name: of the score.
        score: (N,) higher is more like signal; any scale.
        predictions: of the same candidates, for truth, weights and spectators.
    """
    pair = np.stack([-score, score], axis=1)
    own = Predictions(
        pair.astype(np.float32),
        predictions.is_signal.astype(np.int16),
        predictions.weights,
        classes=("background", "signal"),
        signal=("signal",),
        columns=predictions.columns,
    )
    return ScoredTrial(name, own, of_scores=True)


def decided(
    contenders: Sequence[ScoredTrial],
    points: CutsOnScore | None,
    *,
    efficiencies: Sequence[float] = EFFICIENCIES,
) -> list[ScoredTrial]:
    """Give the contenders their working points.

    Args:
        contenders: the trial, then those that it is compared with.
        points: of the trial's model; None takes plain cuts (see `plain_points`).
        efficiencies: of the signal, of plain cuts.
    Returns:
        the trial with its own; the others with plain cuts of the same signal efficiencies, for
        each number of prongs, so that their rejections compare.
    Raises:
        DataError: one class only.
    """
    first, *others = contenders
    plain = dict.fromkeys((0, *PRONGS), named(efficiencies))
    used = points or plain_points(first.predictions, efficiencies=plain)
    wanted = reached(used, first.predictions)
    found = [(first, used)] + [
        (one, plain_points(one.predictions, efficiencies=wanted)) for one in others
    ]
    return [
        replace(one, passes=dict(own.passes(one.predictions.score, cut_on(one.predictions))))
        for one, own in found
    ]


def cut_on(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """Return what working points may read beside the score: spectators and `against_<class>`.

    The latter is signal / (signal + that class), as saved models give it; 0 where both are 0.
    """
    columns: dict[str, NDArray[Any]] = dict(predictions.columns)
    signal = predictions.score
    for index, name in enumerate(predictions.classes):
        if name not in predictions.signal:
            both = signal + predictions.probabilities[:, index]
            columns[f"against_{name}"] = np.divide(
                signal, both, where=both > 0, out=np.zeros_like(signal)
            )
    return columns
