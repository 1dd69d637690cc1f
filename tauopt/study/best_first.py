"""Order of complete trials: confirmed points, those tied with the best by loss, then by value.

Trials that break a constraint come behind all that break none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings.experiment import Preference
from tauopt.metrics.ties import TIED, tied_with_best
from tauopt.study.confirmed_points import ConfirmedPoint, confirmed_points
from tauopt.study.trial_attributes import (
    LOG_LOSS,
    PAIRED_VALUE,
    PARAMETERS,
    broken_constraints,
    is_of_search,
    paired_value,
)


def ties_of(trials: Iterable[FrozenTrial], *, larger: bool = True) -> list[int]:
    """Return the numbers of the complete trials that are tied with the best, the lowest loss first.

    Each trial counts as it was trained first. Trials of several objectives have fronts and no ties;
    trials that break a constraint, and those of older studies without paired values, are left out.
    """
    trials = list(trials)
    known = [
        trial
        for trial in _complete(trials)
        if not broken_constraints(trial)
        and {PAIRED_VALUE, LOG_LOSS} <= trial.user_attrs.keys()
        and len(trial.values) == 1
    ]
    sign = 1.0 if larger else -1.0
    kept = [trial for trial in _complete(trials) if not broken_constraints(trial)]
    if not known or max(kept, key=lambda trial: sign * trial.values[0]) not in known:
        return []  # without its paired value, what is tied with the best one is unknown
    values = [paired_value(trial) for trial in known]
    losses = [float(trial.user_attrs[LOG_LOSS]) for trial in known]
    return [known[index].number for index in tied_with_best(values, losses, larger=larger)]


@dataclass(frozen=True)
class Leaders:
    """Trials that come before all others."""

    places: Mapping[int, int] = field(default_factory=dict)
    """Number of a trial -> 0, 1, ...; of several objectives none, for fronts are their order."""
    tied: frozenset[int] = frozenset()
    """Those that are tied with the best; more than one, or none."""
    confirmed: tuple[ConfirmedPoint, ...] = ()
    """All confirmed points, whether they lead or not."""


def leaders_of(
    trials: Iterable[FrozenTrial], *, larger: bool = True, prefer: Preference = "best"
) -> Leaders:
    """Return the trials that come before all others: confirmed points, or those tied with the best.

    Of those that are tied the lowest loss comes first, or with `cheapest` the fewest parameters.
    As long as a trial without a confirmation is beyond errors ahead of the best mean, as a search
    may find when it is extended, the points are to be confirmed anew, and the ties lead.
    """
    every = list(trials)
    points = tuple(confirmed_points(every, larger=larger))
    if any(len(trial.values) > 1 for trial in _complete(every)):
        return Leaders(confirmed=points)
    if points and not _is_overtaken(points, every, larger=larger):
        numbers = [point.number for point in points]
        tied = [point.number for point in points if point.tied]
    else:
        numbers = tied = ties_of(every, larger=larger)
    if prefer == "cheapest":
        cost = {trial.number: trial.user_attrs.get(PARAMETERS, math.inf) for trial in every}
        tied = sorted(tied, key=lambda number: float(cost[number]))
        numbers = [*tied, *numbers[len(tied) :]]
    places = {number: place for place, number in enumerate(numbers)}
    return Leaders(places, frozenset(tied if len(tied) > 1 else ()), points)


def _is_overtaken(
    points: Sequence[ConfirmedPoint], trials: Iterable[FrozenTrial], *, larger: bool
) -> bool:
    """Return whether a trial without a confirmation is beyond errors ahead of the best mean."""
    sign = 1.0 if larger else -1.0
    numbers = {point.number for point in points}
    best = max((point.mean for point in points), key=lambda mean: sign * mean.value)
    for trial in _complete(trials):
        if trial.number in numbers or PAIRED_VALUE not in trial.user_attrs:
            continue
        ahead, error = best.of_one(paired_value(trial)).ahead_of(best)
        if sign * ahead > TIED * error and not broken_constraints(trial):
            return True
    return False


def best_first(trials: Iterable[FrozenTrial], *, larger: bool = True) -> list[FrozenTrial]:
    """Return the complete trials, each point once, as a leaderboard of one objective ranks them."""
    every = list(trials)
    places = leaders_of(every, larger=larger).places
    sign = -1.0 if larger else 1.0
    return sorted(
        _complete(every),
        key=lambda t: (
            bool(broken_constraints(t)),
            places.get(t.number, math.inf),
            sign * t.values[0],
            t.number,
        ),
    )


def _complete(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    return [t for t in trials if t.state is TrialState.COMPLETE and is_of_search(t)]
