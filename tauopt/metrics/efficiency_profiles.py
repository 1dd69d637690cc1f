"""Efficiency and rejection of working points in bins of a variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.binned_counts import (
    BinnedCounts,
    cells_of,
    columns_of,
    efficiencies,
    rejections,
    spread,
)
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.variable_axes import VariableAxis

ProfileKind = Literal["efficiency", "rejection"]
"""Of the signal; of the background, one over its efficiency."""
BinEstimates = list[Estimate | None]
"""A number in each bin; None where it can't be measured."""


@dataclass(frozen=True)
class EfficiencyProfile:
    """What working points do in bins of a variable.

    Attributes:
        axis: the bins.
        kind: what is measured.
        counts: (bin,) candidates.
        values: contender -> working point -> bins.
        ratios: working point -> the trial over its reference; empty without one.
    """

    axis: VariableAxis
    kind: ProfileKind
    counts: NDArray[np.int64]
    values: dict[str, dict[str, BinEstimates]]
    ratios: dict[str, BinEstimates]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(one for of in self.values.values() for bins in of.values() for one in bins)

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            "variable": self.axis.name,
            "unit": self.axis.text,
            "edges": [float(f"{edge:.6g}") for edge in self.axis.edges],
            "bins": self.axis.describe(),
            "candidates": self.counts.tolist(),
            "kind": self.kind,
            "values": {
                name: {point: columns_of(bins) for point, bins in of.items()}
                for name, of in self.values.items()
            },
            "ratios": {point: columns_of(bins) for point, bins in self.ratios.items()},
        }


def profile(
    contenders: Sequence[ScoredTrial],
    axis: VariableAxis,
    kind: ProfileKind,
    *,
    rng: np.random.Generator,
) -> EfficiencyProfile:
    """Measure the working points of a trial, and of its reference, in bins.

    Errors as `cells.efficiencies`. Ratios are from replicas in which both see the same
    candidates.

    Args:
        contenders: decided, on the same candidates.
        axis: of a spectator that they have.
        kind: of the signal or of the background.
        rng: of the bootstrap.
    """
    first = contenders[0]
    is_signal = first.predictions.is_signal
    chosen = is_signal if kind == "efficiency" else ~is_signal
    cells = binned(contenders, axis, chosen)
    numbers = (efficiencies if kind == "efficiency" else rejections)(cells, rng=rng)
    names = tuple(first.passes)
    values = {
        one.name: {
            name: [row[position * len(names) + i] for row in numbers]
            for i, name in enumerate(names)
        }
        for position, one in enumerate(contenders)
    }
    ratios = _ratios(cells, names, kind, rng=rng) if len(contenders) > 1 else {}
    return EfficiencyProfile(axis, kind, cells.counts.sum(axis=1), values, ratios)


def binned(
    contenders: Sequence[ScoredTrial], axis: VariableAxis, chosen: NDArray[np.bool_]
) -> BinnedCounts:
    """Count chosen candidates, (N,) bool, by bin and by what they pass.

    Cuts are the working points of the first contender, then those of the next.
    """
    predictions = contenders[0].predictions
    chosen = chosen & (axis.index(predictions.columns[axis.name]) >= 0)
    passes = [passed[chosen] for one in contenders for passed in one.passes.values()]
    index = axis.index(predictions.columns[axis.name][chosen])
    weights = predictions.weights[chosen]
    return cells_of(np.stack(passes, axis=1), weights, index=index, bins=axis.bins)


def _ratios(
    cells: BinnedCounts, names: Sequence[str], kind: ProfileKind, *, rng: np.random.Generator
) -> dict[str, BinEstimates]:
    count = len(names)
    replicas = _ratio(cells.fractions(cells.resampled(rng)), count, kind)
    values = _ratio(cells.fractions(cells.signed), count, kind)
    low, high = spread(replicas)
    return {
        name: [
            Estimate(v, min(a, v), max(b, v)) if np.isfinite(v) else None
            for v, a, b in zip(
                values[:, i].tolist(), low[:, i].tolist(), high[:, i].tolist(), strict=True
            )
        ]
        for i, name in enumerate(names)
    }


def _ratio(fractions: NDArray[Any], count: int, kind: ProfileKind) -> NDArray[Any]:
    mine, theirs = fractions[..., :count], fractions[..., count : 2 * count]
    over, under = (mine, theirs) if kind == "efficiency" else (theirs, mine)
    sound = (over > 0) & (under > 0)
    return np.where(sound, over / np.where(sound, under, 1.0), np.nan)
