"""Order of complete trials: confirmed points, those tied with the best by loss, then by value.

Trials that break a constraint come behind all that break none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

from tauopt.metrics.influence import PairedValue
from tauopt.metrics.ties import tied_with_best
from tauopt.study.confirmed_points import confirmed_points
from tauopt.study.trial_attributes import LOG_LOSS, PAIRED_VALUE, broken_constraints, is_of_search


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
    values = [PairedValue.parse(trial.user_attrs[PAIRED_VALUE]) for trial in known]
    losses = [float(trial.user_attrs[LOG_LOSS]) for trial in known]
    return [known[index].number for index in tied_with_best(values, losses, larger=larger)]


def first_places(trials: Iterable[FrozenTrial], *, larger: bool = True) -> dict[int, int]:
    """Return the places of the trials that come before all others: number -> 0, 1, ...

    These are the confirmed points; where there are none, the trials that are tied with the best.
    Of several objectives it is none: fronts are their order.
    """
    every = list(trials)
    if any(len(trial.values) > 1 for trial in _complete(every)):
        return {}
    confirmed = [point.number for point in confirmed_points(every, larger=larger)]
    first = confirmed or ties_of(every, larger=larger)
    return {number: place for place, number in enumerate(first)}


def best_first(trials: Iterable[FrozenTrial], *, larger: bool = True) -> list[FrozenTrial]:
    """Return the complete trials, each point once, as a leaderboard of one objective ranks them."""
    every = list(trials)
    place = first_places(every, larger=larger)
    sign = -1.0 if larger else 1.0
    return sorted(
        _complete(every),
        key=lambda t: (
            bool(broken_constraints(t)),
            place.get(t.number, math.inf),
            sign * t.values[0],
            t.number,
        ),
    )


def _complete(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    return [t for t in trials if t.state is TrialState.COMPLETE and is_of_search(t)]
