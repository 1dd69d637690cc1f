"""Working points of a score without any: one cut for each number of prongs and efficiency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import at_signal_efficiency
from tauopt.metrics.standard_metrics import EFFICIENCIES, PRONGS, chosen_prongs

Floats = NDArray[np.float64]
_ALL = 0
"""Key of candidates with other prongs, or of all where there is no column `prongs`."""


class CutsOnScore(Protocol):
    """Working points that cut on a score: `ProngCuts` here, `WorkingPoints` of a model."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, the tightest first."""

    def passes(
        self, score: Floats, columns: Mapping[str, NDArray[Any]]
    ) -> Mapping[str, NDArray[np.bool_]]:
        """Return which candidates pass each, (N,) bool by name."""


@dataclass(frozen=True)
class ProngCuts:
    """A cut for each number of prongs and working point."""

    names: tuple[str, ...]
    cuts: Mapping[int, tuple[float, ...]]
    """Prongs -> lowest score that passes each working point; 0 stands for all others."""

    def passes(
        self, score: Floats, columns: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[np.bool_]]:
        """Return which candidates pass each working point.

        Args:
            score: (N,).
            columns: spectators, (N,) each; `prongs` selects the cut, without it those of 0 hold.
        """
        prongs = np.asarray(columns.get("prongs", np.full(len(score), _ALL)))
        lowest = np.full((len(score), len(self.names)), self.cuts[_ALL])
        for number, cuts in self.cuts.items():
            if number != _ALL:
                lowest[prongs == number] = cuts
        return {name: score >= lowest[:, i] for i, name in enumerate(self.names)}


def name_efficiencies(efficiencies: Sequence[float]) -> dict[str, float]:
    """Return signal efficiencies by the names of their working points, such as `75 %`."""
    return {f"{100 * at:g} %": at for at in efficiencies}


def derive_prong_cuts(
    predictions: Predictions,
    *,
    efficiencies: Mapping[int, Mapping[str, float]] | None = None,
) -> ProngCuts:
    """Return cuts that keep 60, 75, 85 and 95 % of the signal, for one and three prongs each.

    Args:
        predictions: the sample that fixes the cuts; with signal and background.
        efficiencies: prongs (0: all) -> name -> signal efficiency, to match those of another
            network; None takes the standard ones.
    Raises:
        DataError: there is one class only.
    """
    standard = name_efficiencies(EFFICIENCIES)
    targets = efficiencies or {}
    names = tuple(next(iter(targets.values()), standard))
    chosen = {_ALL: predictions} | {
        prongs: part
        for prongs in PRONGS
        if (part := chosen_prongs(predictions, prongs)) is not None
    }
    return ProngCuts(
        names,
        {
            prongs: _cuts(part, np.array(list(targets.get(prongs, standard).values())))
            for prongs, part in chosen.items()
        },
    )


def _cuts(predictions: Predictions, at: Floats) -> tuple[float, ...]:
    """Return the cuts with signal efficiencies `at`, (A,)."""
    curve = predictions.roc_curve
    # The first point is at infinity; a cut between it and the next is as good as the next.
    thresholds = np.concatenate([curve.thresholds[1:2], curve.thresholds[1:]])
    cuts = at_signal_efficiency(curve.signal, thresholds, np.clip(at, 1e-6, 1.0))
    # Interpolation rounds: a candidate whose score equals the cut must pass.
    return tuple((cuts - 4 * np.spacing(np.abs(cuts))).tolist())


def measured_efficiencies(
    points: CutsOnScore, predictions: Predictions
) -> dict[int, dict[str, float]]:
    """Return signal efficiencies of working points: prongs (0: all) -> name -> efficiency."""
    by_prongs: dict[int, dict[str, float]] = {}
    for prongs in (_ALL, *PRONGS):
        part = predictions if prongs == _ALL else chosen_prongs(predictions, prongs)
        if part is None:
            continue
        weights = np.where(part.is_signal, part.weights, 0.0)
        by_prongs[prongs] = {
            name: float(weights[passed].sum() / weights.sum())
            for name, passed in points.passes(part.score, part.columns).items()
        }
    return by_prongs
