"""Confirmed points: those that were trained again on other seeds, ranked by their means.

The largest of many values is too large, as the maximum of random numbers. So the value of a
confirmed point is the mean over the new trainings, without the one for which it was chosen. Of the
points that stay tied the training with the lowest loss is promoted, new or first: on recorded
searches this finds better networks than the largest mean or the lowest mean loss.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from tauopt.metrics.seed_means import SeedMean, seed_means
from tauopt.metrics.ties import tied_with_best
from tauopt.study.trial_attributes import (
    CONFIRMS,
    LOG_LOSS,
    PAIRED_VALUE,
    broken_constraints,
    paired_value,
)


@dataclass(frozen=True)
class ConfirmedPoint:
    """A point of a search with its trainings on other seeds."""

    number: int
    """Number of the search's trial with this point."""
    mean: SeedMean
    """Mean of the first objective over the new trainings."""
    values: tuple[float, ...]
    """The first objective of each."""
    failed: int
    """New trainings that failed, and so are not in the mean."""
    broken: int
    """New trainings that break a constraint: they are in the mean, and are never promoted."""
    chosen: int
    """Number of the training to be promoted, new or first: the one with the lowest cross-entropy.
    Its own value is not taken for that of the point."""
    tied: bool
    """Whether the mean is tied with the best one."""


def confirmed_points(trials: Iterable[FrozenTrial], *, larger: bool = True) -> list[ConfirmedPoint]:
    """Return the confirmed points of a study: those tied with the best by loss, then by mean.

    Args:
        trials: of the study.
        larger: whether larger is better.
    Returns:
        none while trainings are left that are to confirm a point: the few that have ended so far
        would come before all others.
    """
    every = {trial.number: trial for trial in trials}
    again = [trial for trial in every.values() if CONFIRMS in trial.user_attrs]
    if not again or not all(trial.state.is_finished() for trial in again):
        return []
    trainings: dict[int, list[FrozenTrial]] = {}
    failed: Counter[int] = Counter()
    for trial in again:
        number = int(trial.user_attrs[CONFIRMS])
        if trial.state is TrialState.COMPLETE and PAIRED_VALUE in trial.user_attrs:
            trainings.setdefault(number, []).append(trial)
        else:
            failed[number] += 1
    firsts = [every[number] for number in trainings]
    return _ranked(firsts, list(trainings.values()), failed, larger=larger) if firsts else []


def _ranked(
    firsts: Sequence[FrozenTrial],
    again: Sequence[Sequence[FrozenTrial]],
    failed: Mapping[int, int],
    *,
    larger: bool,
) -> list[ConfirmedPoint]:
    """Rank points, each with its trial in the search and with its new trainings."""
    means = seed_means([[paired_value(trial) for trial in new] for new in again])
    chosen = [
        min((first, *(t for t in new if not broken_constraints(t))), key=_loss)
        for first, new in zip(firsts, again, strict=True)
    ]
    tied = tied_with_best(means, [*map(_loss, chosen)], larger=larger)
    sign = -1.0 if larger else 1.0
    behind = [index for index in range(len(means)) if index not in tied]
    behind.sort(key=lambda index: sign * means[index].value)
    return [
        ConfirmedPoint(
            number=firsts[index].number,
            mean=means[index],
            values=tuple(float(trial.values[0]) for trial in again[index]),
            failed=failed[firsts[index].number],
            broken=sum(bool(broken_constraints(trial)) for trial in again[index]),
            chosen=chosen[index].number,
            tied=index in tied,
        )
        for index in (*tied, *behind)
    ]


def _loss(trial: FrozenTrial) -> float:
    """Return a training's cross-entropy; infinite where an older tauopt did not measure it."""
    return float(trial.user_attrs.get(LOG_LOSS, math.inf))
