"""Contract of Optuna's private parts: if an upgrade breaks it, change `_optuna_internals`."""

import optuna
from optuna.trial import TrialState, create_trial

from tauopt.study._optuna_internals import (
    FrozenStudy,
    set_trial_id,
    storage_of,
    study_id_of,
    study_id_of_summary,
    trial_id_of,
)


def test_ids_are_those_by_which_the_storage_is_called():
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="first")
    second = optuna.create_study(storage=storage, study_name="second")
    trial = second.ask()
    assert storage_of(second) is storage
    assert storage.get_study_name_from_id(study_id_of(study)) == "first"
    assert study_id_of(second) > study_id_of(study)
    assert storage.get_trial(trial_id_of(trial)).number == trial.number
    assert trial_id_of(second.get_trials()[0]) == trial_id_of(trial)
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    assert {s.study_name: study_id_of_summary(s) for s in summaries} == {
        "first": study_id_of(study),
        "second": study_id_of(second),
    }
    assert all(isinstance(s, FrozenStudy) for s in storage.get_all_studies())


def test_a_trial_in_no_storage_takes_any_number_and_learns_like_others():
    trial = create_trial(value=1.0, state=TrialState.COMPLETE)
    set_trial_id(trial, -3)
    assert (trial.number, trial_id_of(trial)) == (-3, -3)
