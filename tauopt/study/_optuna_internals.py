"""Private parts of Optuna 5 that the study needs; an upgrade checks them by their contract test.

Optuna names trials and studies by number and name in public, and by database ids where a storage
is called. Storages of our own are called by ids.
"""

from __future__ import annotations

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudySummary
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, Trial

__all__ = [
    "FrozenStudy",
    "set_trial_id",
    "storage_of",
    "study_id_of",
    "study_id_of_summary",
    "trial_id_of",
]


def storage_of(study: optuna.Study) -> BaseStorage:
    """Return the storage that a study is kept in."""
    return study._storage


def study_id_of(study: optuna.Study) -> int:
    """Return the id of a study in its storage."""
    return int(study._study_id)


def study_id_of_summary(summary: StudySummary) -> int:
    """Return the id of a summarised study in its storage; later studies have larger ones."""
    return int(summary._study_id)


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """Return the id of a trial in its storage."""
    return int(trial._trial_id)


def set_trial_id(trial: FrozenTrial, number: int) -> None:
    """Give a trial that is in no storage a number and an id."""
    trial.number = trial._trial_id = number
