"""Efficiency and rejection of each working point over all bins, for the table of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.binned_counts import (
    BinnedCounts,
    binned_efficiencies,
    binned_rejections,
    count_by_bin,
)
from tauopt.metrics.bootstrap import Difference, difference_of
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.scored_trial import ScoredTrial

NamedEstimates = tuple[str, Estimate, Estimate | None, Difference | None]
"""Name of the metric, its value for the trial and for the reference, and their difference."""


def working_numbers(
    contenders: Sequence[ScoredTrial], *, rng: np.random.Generator
) -> Iterator[NamedEstimates]:
    """Yield `efficiency of NAME` and `rejection of NAME` of each working point.

    Efficiencies are those of the signal, rejections one over those of the background; for errors
    see `binned_counts.binned_efficiencies`. Differences are from bootstrap replicas with the same
    candidates for both; where a rejection is a limit there is no difference.

    Args:
        contenders: the trial and perhaps its reference, on the same candidates, with decisions of
            working points.
        rng: generator for the bootstraps.
    """
    for kind in ("efficiency", "rejection"):
        binned = _counts(contenders, signal=kind == "efficiency")
        measure = binned_efficiencies if kind == "efficiency" else binned_rejections
        estimates = measure(binned, rng=rng)[0]
        values = binned.fractions(binned.signed)[0]
        replicas = binned.fractions(binned.resampled(rng))[:, 0]
        if kind == "rejection":
            values, replicas = _inverse(values), _inverse(replicas)
        count = len(contenders[0].passes)
        for i, name in enumerate(contenders[0].passes):
            estimate = estimates[i]
            if estimate is None:
                continue
            reference = estimates[count + i] if len(contenders) > 1 else None
            difference = None
            if reference is not None and not (estimate.limit or reference.limit):
                differences = replicas[:, i] - replicas[:, count + i]
                difference = difference_of(float(values[i] - values[count + i]), differences)
            yield f"{kind} of {name}", estimate, reference, difference


def _counts(contenders: Sequence[ScoredTrial], *, signal: bool) -> BinnedCounts:
    predictions = contenders[0].predictions
    chosen = predictions.is_signal == signal
    passes = [passed[chosen] for trial in contenders[:2] for passed in trial.passes.values()]
    return count_by_bin(np.stack(passes, axis=1), predictions.weights[chosen])


def _inverse(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one over each fraction, NaN where nothing passes."""
    passing = fractions > 0
    return np.where(passing, 1.0 / np.where(passing, fractions, 1.0), np.nan)
