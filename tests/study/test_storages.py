"""Optuna's own tests of storages, for those that stand on top of another one."""

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.testing.pytest_storages import StorageTestCase

from tauopt.study.cached_storage import CachedStorage
from tauopt.study.storage_views import ForwardingStorage, StorageView, for_samplers

BOTH = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]


class OneEach(ForwardingStorage):
    """Gives each study of Optuna's tests its own storage over the common one."""

    def __init__(self, over):
        super().__init__(InMemoryStorage())
        self.over = over
        self.of_study, self.of_trial = {}, {}

    def create_new_study(self, directions, study_name=None):
        study_id = super().create_new_study(directions, study_name)
        self.of_study[study_id] = self.over(self._storage, study_id)
        return study_id

    def create_new_trial(self, study_id, template_trial=None):
        storage = self.of_study.get(study_id, self._storage)
        trial_id = storage.create_new_trial(study_id, template_trial)
        self.of_trial[trial_id] = storage
        return trial_id

    def __getattribute__(self, name):
        """Forward calls with a study or trial id to the storage of that study."""
        here = {"over", "of_study", "of_trial", "create_new_study", "create_new_trial"}
        if name.startswith("_") or name in here | {"get_all_studies"}:
            return super().__getattribute__(name)

        def call(*args, **kwargs):
            first = args[0] if args else kwargs.get("study_id")
            apart = self.of_trial if "trial_id" in _first_parameter(name) else self.of_study
            return getattr(apart.get(first, self._any()), name)(*args, **kwargs)

        return call

    def _any(self):
        """Return any storage: each must refuse unknown ids in the same way."""
        return next(iter(self.of_study.values()), self._storage)


def _first_parameter(method):
    return getattr(BaseStorage, method).__code__.co_varnames[1]


def cached_storage(storage, study_id):
    return CachedStorage(
        optuna.load_study(study_name=storage.get_study_name_from_id(study_id), storage=storage)
    )


def storage_view(storage, study_id):
    directions = storage.get_study_directions(study_id)
    return StorageView(storage, study_id, directions=directions, show=list)


class OverAnother(StorageTestCase):
    @pytest.mark.skip("made over an open study, in the process that holds its lock")
    def test_pickle_storage(self, storage):
        pass


class TestCachedStorage(OverAnother):
    @pytest.fixture
    def storage(self):
        return OneEach(cached_storage)


class TestStorageView(OverAnother):
    @pytest.fixture
    def storage(self):
        return OneEach(storage_view)


@pytest.mark.parametrize("over", [cached_storage, storage_view])
def test_every_method_of_optuna_s_storages_is_there_and_the_type_is_theirs(over):
    storage = InMemoryStorage()
    made = over(storage, storage.create_new_study(BOTH))
    assert isinstance(made, BaseStorage)
    assert not any("__getattr__" in vars(kind) for kind in type(made).__mro__)


def test_a_trial_s_number_is_the_study_s_although_others_are_shown_before_it():
    other = optuna.create_study(directions=BOTH)
    other.tell(other.ask(), (0.5, 1.0))
    study = optuna.create_study(directions=BOTH)
    shown = for_samplers(study, other.trials)
    trial = shown.ask()
    assert (
        shown._storage.get_trial_id_from_study_id_trial_number(study._study_id, trial.number)
        == trial._trial_id
    )
    assert shown._storage.get_n_trials(study._study_id) == 2
    assert len(study.trials) == 1


def test_a_finished_trial_is_refused_at_once_and_not_by_the_thread_that_writes():
    cached = cached_storage(storage := InMemoryStorage(), storage.create_new_study(BOTH[:1]))
    trial = cached.study.ask()
    cached.study.tell(trial, 0.5)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        cached.set_trial_user_attr(trial._trial_id, "late", 1)
    cached.settle()
