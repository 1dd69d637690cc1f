"""Efficiency and rejection of each working point, for the table of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.binned_counts import BinnedCounts, cells_of, efficiencies, rejections
from tauopt.metrics.bootstrap import Difference, difference_of
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.scored_trial import ScoredTrial

Number = tuple[str, Estimate, Estimate | None, Difference | None]
"""What it is called, the trial's, the reference's, and the one less the other."""


def working_numbers(
    contenders: Sequence[ScoredTrial], *, rng: np.random.Generator
) -> Iterator[Number]:
    """Yield `efficiency of NAME` and `rejection of NAME` of each working point.

    Efficiencies are those of the signal, rejections one over those of the background; errors as
    `cells.efficiencies`. Differences are from replicas in which both see the same candidates;
    there is none where a rejection is a limit.

    Args:
        contenders: decided, on the same candidates: the trial and perhaps its reference.
        rng: of the bootstraps.
    """
    for kind in ("efficiency", "rejection"):
        cells = _cells(contenders, signal=kind == "efficiency")
        found = (efficiencies if kind == "efficiency" else rejections)(cells, rng=rng)[0]
        whole, replicas = cells.fractions(cells.signed)[0], _replicas(cells, rng)
        if kind == "rejection":
            whole, replicas = _inverse(whole), _inverse(replicas)
        count = len(contenders[0].passes)
        for i, name in enumerate(contenders[0].passes):
            value = found[i]
            if value is None:
                continue
            other = found[count + i] if len(contenders) > 1 else None
            difference = None
            if other is not None and not (value.limit or other.limit):
                apart = replicas[:, i] - replicas[:, count + i]
                difference = difference_of(float(whole[i] - whole[count + i]), apart)
            yield f"{kind} of {name}", value, other, difference


def _cells(contenders: Sequence[ScoredTrial], *, signal: bool) -> BinnedCounts:
    predictions = contenders[0].predictions
    chosen = predictions.is_signal == signal
    passes = [passed[chosen] for one in contenders[:2] for passed in one.passes.values()]
    return cells_of(np.stack(passes, axis=1), predictions.weights[chosen])


def _replicas(cells: BinnedCounts, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return fractions (replica, cut)."""
    return np.asarray(cells.fractions(cells.resampled(rng))[:, 0])


def _inverse(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one over each fraction, NaN where nothing passes."""
    sound = fractions > 0
    return np.where(sound, 1.0 / np.where(sound, fractions, 1.0), np.nan)
