"""Views of a study for pruners and samplers: storages on top of the study's storage.

Optuna's pruners support one objective, and its TPE fails on stopped trials where there are several.
A sampler may also learn from trials of an earlier study, and neither is to take points that were
trained again on other seeds for points of the search. So each gets a storage that shows other
directions or other trials. Their writes go to the study itself, so that rungs outlive the driver.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tauopt.study._optuna_internals import FrozenStudy, storage_of, study_id_of
from tauopt.study.trial_attributes import CONFIRMS


class ForwardingStorage(BaseStorage):
    """A storage that forwards every call; `BaseStorage` documents each method.

    `BaseStorage` derives some answers, such as the best trial, from `get_trial`, `get_all_trials`
    and the directions: these follow what the subclass returns there.
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


ShowTrials = Callable[[list[FrozenTrial]], list[FrozenTrial]]


def for_pruners(study: optuna.Study) -> optuna.Study:
    """Return a view of a study's search with its first objective alone."""
    several = len(study.directions) > 1

    def show(trials: list[FrozenTrial]) -> list[FrozenTrial]:
        searched = [trial for trial in trials if CONFIRMS not in trial.user_attrs]
        return first_objective(searched) if several else searched

    return _view(study, study.directions[:1], show)


def for_samplers(study: optuna.Study, history: Sequence[FrozenTrial] = ()) -> optuna.Study:
    """Return a view of a study's search with the trials of an earlier one before its own.

    Where there are several objectives, stopped trials look complete, and worse than complete ones.
    """
    several = len(study.directions) > 1

    def show(trials: list[FrozenTrial]) -> list[FrozenTrial]:
        # A trial that waits is shown, since Optuna takes it from what the sampler sees.
        searched = (
            trial
            for trial in trials
            if CONFIRMS not in trial.user_attrs or trial.state is TrialState.WAITING
        )
        every = [*history, *searched]
        return stopped_as_worst(every, directions=study.directions) if several else every

    return _view(study, study.directions, show)


def _view(
    study: optuna.Study, directions: Sequence[StudyDirection], show: ShowTrials
) -> optuna.Study:
    storage = StorageView(storage_of(study), study_id_of(study), directions=directions, show=show)
    return optuna.load_study(
        study_name=study.study_name, storage=storage, sampler=study.sampler, pruner=study.pruner
    )


class StorageView(ForwardingStorage):
    """A storage that shows a study with other directions and trials; writes go to the study."""

    def __init__(
        self,
        storage: BaseStorage,
        study_id: int,
        *,
        directions: Sequence[StudyDirection],
        show: ShowTrials,
    ) -> None:
        super().__init__(storage)
        self._study_id = study_id
        self._directions = list(directions)
        self._show = show

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:  # noqa: D102
        ours = study_id == self._study_id
        return list(self._directions) if ours else super().get_study_directions(study_id)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:  # noqa: D102
        # Optuna's default is the position among the shown trials, but earlier trials may precede.
        by_number = self._storage.get_trial_id_from_study_id_trial_number
        return int(by_number(study_id, trial_number))

    def get_all_trials(  # noqa: D102
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        if study_id != self._study_id:
            return super().get_all_trials(study_id, deepcopy, states)
        trials = self._show(self._storage.get_all_trials(study_id, deepcopy=False))
        chosen = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen


def first_objective(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return trials with the first of their values only."""
    return [_with_values(t, t.values[:1]) if t.values else t for t in trials]


def stopped_as_worst(
    trials: list[FrozenTrial], *, directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Return trials where stopped ones look complete, with values worse than any complete one's.

    Stopped trials keep the order that Optuna's TPE gives them in a study of one objective: a later
    last report is better and, among equals, a larger value. This order is in the first objective,
    which is maximised; in the others all stopped trials have the worst value.
    """
    first, *others = _worst_values(trials, directions)
    stopped = [t for t in trials if t.state is TrialState.PRUNED]
    best_first = sorted(stopped, key=_last_report, reverse=True)
    values = {
        # Steps of at least 1 and of the order of the value itself, so that rounding can't tie them.
        trial.number: [first - rank * (1.0 + abs(first)), *others]
        for rank, trial in enumerate(best_first, start=1)
    }
    complete = TrialState.COMPLETE
    return [
        _with_values(t, values[t.number], state=complete) if t.number in values else t
        for t in trials
    ]


def _worst_values(trials: list[FrozenTrial], directions: Sequence[StudyDirection]) -> list[float]:
    """Return each objective's worst value among complete trials; zeros if there are none."""
    complete = [t.values for t in trials if t.state is TrialState.COMPLETE]
    if not complete:
        return [0.0] * len(directions)
    return [
        min(column) if direction is StudyDirection.MAXIMIZE else max(column)
        for column, direction in zip(zip(*complete, strict=True), directions, strict=True)
    ]


def _last_report(trial: FrozenTrial) -> tuple[int, float]:
    """Return number and value of a trial's last report; zeros if it made none."""
    last = trial.last_step
    return (0, 0.0) if last is None else (last, trial.intermediate_values[last])


def _with_values(
    trial: FrozenTrial, values: list[float], *, state: TrialState | None = None
) -> FrozenTrial:
    changed = copy.copy(trial)
    changed.state = state or trial.state
    changed.values = values
    return changed
