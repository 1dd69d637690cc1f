"""Stage that confirms the best points of a search: each is trained again on other seeds.

What is left of the stage follows from the study alone: which points are tied with the best, and how
often each was trained again. So a driver that is killed at any moment trains nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings.experiment import Confirm
from tauopt.config.settings.objective import Goal
from tauopt.study.best_first import best_first, ties_of
from tauopt.study.control_requests import forgiven
from tauopt.study.leaderboard_rows import fronts_of
from tauopt.study.open_study import goals_of
from tauopt.study.trial_attributes import CONFIRMS, broken_constraints


def points_to_confirm(
    trials: Sequence[FrozenTrial], goals: Sequence[Goal], *, top: int
) -> list[FrozenTrial]:
    """Return the trials whose points are to be trained again, the best first.

    Those are the trials tied with the best, as they were trained first; of several objectives, the
    trials that no other one dominates.

    Args:
        trials: of the study.
        goals: its objectives.
        top: number of trials at most.
    """
    by_number = {trial.number: trial for trial in trials}
    if len(goals) > 1:
        front = {number for number, front in fronts_of(trials, goals).items() if front == 1}
        chosen = [trial for trial in best_first(trials) if trial.number in front]
    else:
        tied = ties_of(trials, larger=goals[0].larger)
        # Without paired values, as in studies of an older tauopt, ties are unknown.
        chosen = [by_number[n] for n in tied] or best_first(trials, larger=goals[0].larger)
    return [trial for trial in chosen if not broken_constraints(trial)][:top]


def missing_confirmations(study: optuna.Study, settings: Confirm) -> list[int]:
    """Return the trials whose points are still to be trained again, once for each training.

    Trainings that failed are not repeated, unless the search was asked to confirm since.

    Args:
        study: of a search whose other trials have ended.
        settings: number of points and of trainings of each.
    """
    trials = study.get_trials(deepcopy=False)
    present = Counter(
        trial.user_attrs[CONFIRMS]
        for trial in trials
        if CONFIRMS in trial.user_attrs
        and (trial.state is not TrialState.FAIL or trial.number >= forgiven(study))
    )
    chosen = points_to_confirm(trials, goals_of(study), top=settings.top)
    # Each point once before any comes twice.
    turns = [(turn, trial.number) for turn in range(settings.seeds) for trial in chosen]
    return [number for turn, number in turns if present[number] <= turn]


def enqueue_confirmations(study: optuna.Study, settings: Confirm) -> list[int]:
    """Enqueue the trainings that are missing to confirm the best points, and return them.

    Args:
        study: of a search whose other trials have ended.
        settings: number of points and of trainings of each.
    """
    missing = missing_confirmations(study, settings)
    points = {trial.number: dict(trial.params) for trial in study.get_trials(deepcopy=False)}
    for number in missing:
        study.enqueue_trial(points[number], user_attrs={CONFIRMS: number})
    return missing
