"""Choice among the complete trials of a played search: by value, among ties, or confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from tauopt.metrics.influence import PairedValue
from tauopt.metrics.seed_means import seed_means
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


def confirmed(first: Sequence[Complete], again: Sequence[Sequence[Complete]]) -> Complete:
    """Return what is chosen after tied trials were trained again, as `study.confirmed_points` does.

    Of the points whose means over the new trainings are tied, the training with the lowest loss is
    chosen, be it new or the first. Value and truth are the means over the new ones.

    Args:
        first: the trials.
        again: the new trainings of each; at least one each.
    """
    means = seed_means([[training.told for training in point] for point in again])
    chosen = [
        min((trial, *new), key=lambda training: training.loss)
        for trial, new in zip(first, again, strict=True)
    ]
    best = tied_with_best(means, [training.loss for training in chosen])[0]
    influence = np.append(means[best].paired.influence, means[best].seed_error)
    return replace(
        chosen[best],
        told=PairedValue(means[best].value, influence),
        truth=fmean(training.truth for training in again[best]),
    )
