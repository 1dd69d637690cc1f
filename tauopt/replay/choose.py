"""Choice among the complete trials of a played search: by value, among ties, or confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from tauopt.metrics.influence import PairedValue
from tauopt.metrics.ties import tied_with_best


@dataclass(frozen=True)
class Complete:
    """A complete trial at its best report."""

    number: int
    """Of the trial."""
    point: int
    """Index of its point in the table; -1 for a point of a surrogate."""
    told: PairedValue
    """Value on the validation sample of the search."""
    loss: float
    truth: float
    """True value of the same metric."""
    judged: float
    """True value of the metric by which all rules are judged."""

    @property
    def excess(self) -> float:
        """By how much the value told is too large."""
        return self.told.value - self.truth


def tied(trials: Sequence[Complete], *, errors: float) -> list[Complete]:
    """Return the trials tied with the largest value, the lowest loss first; see `metrics.ties`."""
    losses = [trial.loss for trial in trials]
    order = tied_with_best([trial.told for trial in trials], losses, errors=errors)
    return [trials[index] for index in order]


def confirmed(again: Sequence[Sequence[Complete]]) -> Complete:
    """Return what is chosen after tied trials were trained again.

    The point of the largest mean over the new trainings is chosen, and of these the one whose value
    is nearest that mean. Value and truth are the means.

    Args:
        again: the new trainings of each trial; at least one each.
    """
    point = max(again, key=lambda trainings: fmean(t.told.value for t in trainings))
    mean = fmean(training.told.value for training in point)
    nearest = min(point, key=lambda training: abs(training.told.value - mean))
    influence = np.mean([training.told.influence for training in point], axis=0)
    return replace(
        nearest,
        told=PairedValue(mean, influence),
        truth=fmean(training.truth for training in point),
    )
