"""Importances of hyperparameters by Optuna's PED-ANOVA, with bootstrap errors.

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

LEAST_TRIALS = 10
"""Fewer trials say nothing about importances."""
_LEAST_ACTIVE = 5
"""Trials in which a parameter must be active to be ranked."""
_LEAST_GOOD = 5
"""Trials that count as good, at least, as Optuna advises; otherwise a tenth of them."""
_MOST_REPEATS, _LEAST_REPEATS = 40, 8
"""Bootstrap repeats."""
_MOST_RESAMPLED = 12_000
"""Trials in all bootstrap samples together: large searches need fewer repeats."""


@dataclass(frozen=True)
class RankedTrials:
    """The trials from which importances are computed, and the values that rank them."""

    trials: tuple[FrozenTrial, ...]
    values: tuple[tuple[float, ...], ...]
    """(objective, trial), signed so that less is better."""
    goals: tuple[Goal, ...]
    judged_by: str
    """What trials are ranked by, in words."""


def trials_to_rank(record: SearchRecord) -> RankedTrials | None:
    """Choose the trials from which importances are computed; None if there are too few.

    Complete trials are ranked by all objectives. Where they are too few, or a small part of a
    large search of one objective, complete and pruned trials are ranked by the first objective at
    the latest report that a third of them reached.
    """
    complete = [t.trial for t in record.with_fate(COMPLETE)]
    reporting = [t for t in record.with_fate(COMPLETE, PRUNED) if t.reports]
    third = len(reporting) // 3
    single = len(record.goals) == 1
    enough = max(LEAST_TRIALS, min(2 * LEAST_TRIALS, third)) if single else LEAST_TRIALS
    if len(complete) >= enough:
        signs = [-1.0 if goal.larger else 1.0 for goal in record.goals]
        values = tuple(
            tuple(sign * float(trial.values[index]) for trial in complete)
            for index, sign in enumerate(signs)
        )
        return RankedTrials(tuple(complete), values, record.goals, "complete")
    for report in sorted({number for t in reporting for number in t.reports}, reverse=True):
        reached = [t for t in reporting if report in t.reports]
        if len(reached) >= max(LEAST_TRIALS, third):
            return RankedTrials(
                tuple(t.trial for t in reached),
                (tuple(-t.reports[report] for t in reached),),
                record.goals[:1],
                f"complete and pruned, as they stood at report {report}",
            )
    return None


def importances(
    ranked: RankedTrials, *, seed: int = 0
) -> dict[str, list[HyperparameterImportance]]:
    """Compute the importance of each hyperparameter for each objective, with bootstrap errors.

    A parameter that is active in few trials, or has the same value in all of them, is not ranked
    and takes no share. The error is the standard deviation over samples of the trials drawn with
    replacement, to either side.

    Args:
        ranked: the trials.
        seed: of the bootstrap samples.
    Returns:
        objective -> its parameters, the same ones for each objective.
    """
    trials = ranked.trials
    every = dict.fromkeys(path for trial in trials for path in trial.params)
    why_not = {path: _why_not_ranked(path, trials) for path in every}
    paths = [path for path, reason in why_not.items() if not reason]
    active = {path: sum(path in t.params for t in trials) for path in why_not}
    count = len(trials)
    repeats = _MOST_RESAMPLED // (count * len(ranked.goals))
    repeats = int(np.clip(repeats, _LEAST_REPEATS, _MOST_REPEATS))
    draws = np.random.default_rng(seed).integers(0, count, (repeats, count))
    by_objective = {}
    for goal, values in zip(ranked.goals, ranked.values, strict=True):
        shares = _shares(trials, values, paths)
        resampled = [
            _shares([trials[i] for i in draw], [values[i] for i in draw], paths) for draw in draws
        ]
        errors = np.array(resampled).std(axis=0, ddof=1)
        known = {
            path: HyperparameterImportance(path, s, max(s - e, 0.0), min(s + e, 1.0), active[path])
            for path, s, e in zip(paths, shares, errors.tolist(), strict=True)
        }
        by_objective[goal.name] = [
            known.get(path)
            or HyperparameterImportance(path, None, active=active[path], why_not=reason)
            for path, reason in why_not.items()
        ]
    return by_objective


def _why_not_ranked(path: str, trials: Sequence[FrozenTrial]) -> str:
    values = [trial.params[path] for trial in trials if path in trial.params]
    if len({repr(value) for value in values}) == 1:
        return f"always {values[0]}"
    return f"active in {len(values)} trials only" if len(values) < _LEAST_ACTIVE else ""


def _shares(
    trials: Sequence[FrozenTrial], values: Sequence[float], paths: Sequence[str]
) -> list[float]:
    """Return the share of each parameter; 0 for one that no trial of the sample has."""
    # Imported here: it loads scikit-learn for another evaluator, seconds that small searches spare.
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
    present = [path for path in paths if any(path in trial.params for trial in trials)]
    quantile = min(max(0.1, _LEAST_GOOD / len(trials)), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        raw = evaluator.evaluate(study, params=present)
    total = sum(raw.values()) or 1.0
    return [float(raw.get(path, 0.0) / total) for path in paths]
