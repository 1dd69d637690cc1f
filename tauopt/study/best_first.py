"""Order of complete trials: those tied with the best by their loss, then the others by value."""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

from tauopt.metrics.influence import PairedValue
from tauopt.metrics.ties import tied_with_best
from tauopt.study.trial_queue import DUPLICATE_OF, LOG_LOSS, PAIRED_VALUE


def ties_of(trials: Iterable[FrozenTrial], *, larger: bool = True) -> list[int]:
    """Return the numbers of the complete trials that are tied with the best, the lowest loss first.

    Trials of several objectives have fronts and no ties; trials of older studies, without paired
    values, are left out.
    """
    known = [
        trial
        for trial in _complete(trials)
        if {PAIRED_VALUE, LOG_LOSS} <= trial.user_attrs.keys() and len(trial.values) == 1
    ]
    if not known:
        return []
    values = [PairedValue.parse(trial.user_attrs[PAIRED_VALUE]) for trial in known]
    losses = [float(trial.user_attrs[LOG_LOSS]) for trial in known]
    return [known[index].number for index in tied_with_best(values, losses, larger=larger)]


def best_first(trials: Iterable[FrozenTrial], *, larger: bool = True) -> list[FrozenTrial]:
    """Return the complete trials, each point once, as a leaderboard of one objective ranks them."""
    complete = _complete(trials)
    place = {number: index for index, number in enumerate(ties_of(complete, larger=larger))}
    sign = -1.0 if larger else 1.0
    return sorted(
        complete, key=lambda t: (place.get(t.number, math.inf), sign * t.values[0], t.number)
    )


def _complete(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    return [
        trial
        for trial in trials
        if trial.state is TrialState.COMPLETE and DUPLICATE_OF not in trial.user_attrs
    ]
