"""Importances of hyperparameters by Optuna's PED-ANOVA, with errors and what it can't rank.

Source: Watanabe, Bansal and Hutter, arXiv:2304.10255; conditional parameters: arXiv:2601.20800.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from tauopt.config.settings.objective import Goal
from tauopt.figures.search.hyperparameter_importance_figure import HyperparameterImportance
from tauopt.figures.search.trial_points import COMPLETE, PRUNED
from tauopt.report.search_record import SearchRecord

LEAST = 10
"""Trials from which importances are told; fewer say nothing."""
_LEAST_ACTIVE = 5
"""Trials in which a parameter must be active."""
_GOOD = 5
"""Trials that count as good, at least, as Optuna advises; else a tenth."""
_REPEATS = 40
_MOST_ADDED = 12_000
"""Trials that are resampled in all: large searches need fewer repeats, and get them."""


@dataclass(frozen=True)
class RankedTrials:
    """Trials by what they are compared."""

    trials: tuple[FrozenTrial, ...]
    values: tuple[tuple[float, ...], ...]
    """(objective, trial), signed so that less is better."""
    goals: tuple[Goal, ...]
    judged_by: str


def ranked_of(facts: SearchRecord) -> RankedTrials | None:
    """Choose the trials that importances are computed of; None if there are too few.

    Those that completed, by all objectives. Where they are too few, or a small part of a large
    search of one objective: all by that objective at the latest report that a third of them made.
    """
    complete = [t.trial for t in facts.of(COMPLETE)]
    every = [t for t in facts.of(COMPLETE, PRUNED) if t.reports]
    third = len(every) // 3
    enough = LEAST if len(facts.goals) > 1 else max(LEAST, min(2 * LEAST, third))
    if len(complete) >= enough:
        signs = [-1.0 if goal.larger else 1.0 for goal in facts.goals]
        values = tuple(
            tuple(sign * float(trial.values[index]) for trial in complete)
            for index, sign in enumerate(signs)
        )
        return RankedTrials(tuple(complete), values, facts.goals, "complete")
    for step in sorted({step for t in every for step in t.reports}, reverse=True):
        own = [t for t in every if step in t.reports]
        if len(own) >= max(LEAST, third):
            values = (tuple(-t.reports[step] for t in own),)
            judged_by = f"complete and pruned, as they stood at report {step}"
            return RankedTrials(tuple(t.trial for t in own), values, facts.goals[:1], judged_by)
    return None


def importances(
    ranked: RankedTrials, *, seed: int = 0
) -> dict[str, list[HyperparameterImportance]]:
    """Return the importance of each parameter for each objective, by its name.

    A parameter that is active in few trials, or always had one value, is not ranked and takes no
    share. Errors: the standard deviation over trials drawn with replacement, to either side.
    """
    why_not = {path: _why_not(path, ranked.trials) for path in _paths(ranked.trials)}
    paths = [path for path, reason in why_not.items() if not reason]
    active = {path: sum(path in t.params for t in ranked.trials) for path in why_not}
    rng = np.random.default_rng(seed)
    count = len(ranked.trials)
    repeats = int(np.clip(_MOST_ADDED // (count * len(ranked.goals)), 8, _REPEATS))
    draws = rng.integers(0, count, (repeats, count))
    found = {}
    for goal, values in zip(ranked.goals, ranked.values, strict=True):
        shares = _shares(ranked.trials, values, paths)
        again = [_drawn(ranked.trials, values, paths, draw) for draw in draws]
        errors = np.array(again).reshape(repeats, -1).std(axis=0, ddof=1)
        known = {
            path: HyperparameterImportance(path, s, max(s - e, 0.0), min(s + e, 1.0), active[path])
            for path, s, e in zip(paths, shares, errors.tolist(), strict=True)
        }
        found[goal.name] = [
            known.get(path)
            or HyperparameterImportance(path, None, active=active[path], why_not=reason)
            for path, reason in why_not.items()
        ]
    return found


def _paths(trials: Sequence[FrozenTrial]) -> list[str]:
    return list(dict.fromkeys(path for trial in trials for path in trial.params))


def _why_not(path: str, trials: Sequence[FrozenTrial]) -> str:
    values = [trial.params[path] for trial in trials if path in trial.params]
    if len({repr(value) for value in values}) == 1:
        return f"always {values[0]}"
    return f"active in {len(values)} trials only" if len(values) < _LEAST_ACTIVE else ""


def _drawn(
    trials: Sequence[FrozenTrial],
    values: Sequence[float],
    paths: Sequence[str],
    draw: Sequence[int],
) -> list[float]:
    return _shares([trials[i] for i in draw], [values[i] for i in draw], paths)


def _shares(
    trials: Sequence[FrozenTrial], values: Sequence[float], paths: Sequence[str]
) -> list[float]:
    """Return the share of each parameter; those that no drawn trial has get none."""
    # It loads scikit-learn, for another evaluator: seconds that small searches need not wait.
    from optuna.importance import PedAnovaImportanceEvaluator

    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    study.add_trials(
        create_trial(
            state=TrialState.COMPLETE,
            value=value,
            params=trial.params,
            distributions=trial.distributions,
        )
        for trial, value in zip(trials, values, strict=True)
    )
    there = [path for path in paths if any(path in trial.params for trial in trials)]
    quantile = min(max(0.1, _GOOD / len(trials)), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        found = evaluator.evaluate(study, params=there)
    total = sum(found.values()) or 1.0
    return [float(found.get(path, 0.0) / total) for path in paths]
