"""Private parts of Optuna 5 that the study needs; a contract test checks them at each upgrade.

Optuna's public functions name trials by number and studies by name; its storages name both by
database ids, and so tauopt's storages need these ids.
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
    """Return the storage that holds a study."""
    return study._storage


def study_id_of(study: optuna.Study) -> int:
    """Return the id of a study in its storage."""
    return int(study._study_id)


def study_id_of_summary(summary: StudySummary) -> int:
    """Return the id of a summarised study in its storage; later studies have larger ids."""
    return int(summary._study_id)


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """Return the id of a trial in its storage."""
    return int(trial._trial_id)


def set_trial_id(trial: FrozenTrial, number: int) -> None:
    """Set the number and the id of a trial that is in no storage."""
    trial.number = trial._trial_id = number
