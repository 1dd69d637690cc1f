"""Efficiency or rejection of working points in bins of a variable, and ratios to a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.binned_counts import (
    BinnedCounts,
    binned_efficiencies,
    binned_rejections,
    count_by_bin,
    estimate_columns,
    replica_interval,
)
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.variable_axes import VariableAxis

ProfileKind = Literal["efficiency", "rejection"]
"""Efficiency of the signal, or rejection of the background: one over its efficiency."""
BinEstimates = list[Estimate | None]
"""Efficiency or rejection in each bin; None where it can't be measured."""


@dataclass(frozen=True)
class EfficiencyProfile:
    """Efficiency or rejection of working points in bins of a variable.

    Attributes:
        axis: the bins.
        kind: which of the two.
        counts: (bin,) candidates, unweighted.
        values: name of the trial or reference -> working point -> bins.
        ratios: working point -> ratios of the trial to its reference; empty without a reference.
    """

    axis: VariableAxis
    kind: ProfileKind
    counts: NDArray[np.int64]
    values: dict[str, dict[str, BinEstimates]]
    ratios: dict[str, BinEstimates]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(
            estimate
            for points in self.values.values()
            for bins in points.values()
            for estimate in bins
        )

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
                name: {point: estimate_columns(bins) for point, bins in points.items()}
                for name, points in self.values.items()
            },
            "ratios": {point: estimate_columns(bins) for point, bins in self.ratios.items()},
        }


def profile(
    contenders: Sequence[ScoredTrial],
    axis: VariableAxis,
    kind: ProfileKind,
    *,
    rng: np.random.Generator,
) -> EfficiencyProfile:
    """Measure the working points of a trial, and of its reference, in bins of a variable.

    For errors see `binned_counts.binned_efficiencies`. Ratios are from bootstrap replicas with the
    same candidates for both.

    Args:
        contenders: the trial and perhaps its reference, on the same candidates, with decisions of
            working points.
        axis: bins of a spectator that the candidates have.
        kind: efficiency of the signal or rejection of the background.
        rng: generator for the bootstrap.
    """
    first = contenders[0]
    is_signal = first.predictions.is_signal
    chosen = is_signal if kind == "efficiency" else ~is_signal
    binned = count_working_points(contenders, axis, chosen)
    measure = binned_efficiencies if kind == "efficiency" else binned_rejections
    estimates = measure(binned, rng=rng)
    names = tuple(first.passes)
    values = {
        trial.name: {
            name: [row[position * len(names) + i] for row in estimates]
            for i, name in enumerate(names)
        }
        for position, trial in enumerate(contenders)
    }
    ratios = _ratios(binned, names, kind, rng=rng) if len(contenders) > 1 else {}
    return EfficiencyProfile(axis, kind, binned.counts.sum(axis=1), values, ratios)


def count_working_points(
    contenders: Sequence[ScoredTrial], axis: VariableAxis, chosen: NDArray[np.bool_]
) -> BinnedCounts:
    """Count candidates by bin of a variable and by which working points they pass.

    Args:
        contenders: on the same candidates; the cuts are the working points of the first, then those
            of the next.
        axis: bins of a spectator.
        chosen: (N,) bool, the candidates that are counted.
    """
    predictions = contenders[0].predictions
    chosen = chosen & (axis.index(predictions.columns[axis.name]) >= 0)
    passes = [passed[chosen] for trial in contenders for passed in trial.passes.values()]
    index = axis.index(predictions.columns[axis.name][chosen])
    weights = predictions.weights[chosen]
    return count_by_bin(np.stack(passes, axis=1), weights, index=index, bins=axis.bins)


def _ratios(
    binned: BinnedCounts, names: Sequence[str], kind: ProfileKind, *, rng: np.random.Generator
) -> dict[str, BinEstimates]:
    count = len(names)
    values = _ratio(binned.fractions(binned.signed), count, kind)
    low, high = replica_interval(_ratio(binned.fractions(binned.resampled(rng)), count, kind))
    return {
        name: [
            Estimate(value, min(lower, value), max(upper, value)) if np.isfinite(value) else None
            for value, lower, upper in zip(
                values[:, i].tolist(), low[:, i].tolist(), high[:, i].tolist(), strict=True
            )
        ]
        for i, name in enumerate(names)
    }


def _ratio(fractions: NDArray[Any], count: int, kind: ProfileKind) -> NDArray[Any]:
    """Return ratios of the trial to the reference, (..., cut), from fractions (..., 2 x cut)."""
    trial, reference = fractions[..., :count], fractions[..., count : 2 * count]
    # Rejections are inverse efficiencies.
    over, under = (trial, reference) if kind == "efficiency" else (reference, trial)
    known = (over > 0) & (under > 0)
    return np.where(known, over / np.where(known, under, 1.0), np.nan)
