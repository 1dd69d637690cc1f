"""An Optuna storage that leaves everything to another: the base of storages over a storage."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState


class ForwardingStorage(BaseStorage):
    """Hands every call on; each method's meaning is in `BaseStorage`.

    What `BaseStorage` itself answers from `get_trial`, `get_all_trials` and the directions, such
    as the best trial, is answered from those of the subclass.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage

    def create_new_study(  # noqa: D102
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return int(self._storage.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:  # noqa: D102
        self._storage.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._storage.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._storage.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:  # noqa: D102
        return int(self._storage.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:  # noqa: D102
        return str(self._storage.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:  # noqa: D102
        return list(self._storage.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:  # noqa: D102
        return dict(self._storage.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:  # noqa: D102
        return dict(self._storage.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:  # noqa: D102
        return list(self._storage.get_all_studies())

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:  # noqa: D102
        return int(self._storage.create_new_trial(study_id, template_trial))

    def set_trial_param(  # noqa: D102
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(  # noqa: D102
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        return bool(self._storage.set_trial_state_values(trial_id, state, values))

    def set_trial_intermediate_value(  # noqa: D102
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._storage.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._storage.set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._storage.set_trial_system_attr(trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:  # noqa: D102
        return self._storage.get_trial(trial_id)

    def get_all_trials(  # noqa: D102
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return list(self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states))

    def remove_session(self) -> None:  # noqa: D102
        self._storage.remove_session()
