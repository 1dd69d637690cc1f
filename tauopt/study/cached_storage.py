"""Write-behind cache of a study: the driver, its only writer, holds the trials in memory.

Database access was the largest cost of a report: a read of the trial, a read of every trial at a
rung, and a write. Here reads come from memory, and a thread writes reports and attributes to the
database, in their order. Parameters, states and pruning decisions that compared trials are written
before they take effect, and after all earlier writes. Workers repeat those reports that a killed
driver had not written.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tauopt.study._optuna_internals import storage_of, study_id_of, trial_id_of
from tauopt.study.decision_records import RECORD, record, recorded_stop
from tauopt.study.storage_views import ForwardingStorage
from tauopt.study.study_storage import with_retries


class CachedStorage(ForwardingStorage):
    """A storage that caches the trials of one study; only for the holder of the search's lock.

    Calls for other studies of the database go through to it unchanged.
    """

    def __init__(self, study: optuna.Study) -> None:
        super().__init__(storage_of(study))
        self._study_id = study_id_of(study)
        self._name = study.study_name
        self._directions = list(study.directions)
        self._trials_by_id: dict[int, FrozenTrial] = {}
        self._stale: set[int] = set()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="tauopt-reports")
        self._pending: deque[Future[None]] = deque()
        # Writes that wait for the decision being made; None while no decision is made.
        self._deferred: list[tuple[str, tuple[Any, ...]]] | None = None
        self._compared = False  # whether the trial was compared with others, so all were read
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
            self._trials_by_id[trial_id_of(trial)] = trial
        self.study = optuna.load_study(
            study_name=study.study_name, storage=self, sampler=study.sampler, pruner=study.pruner
        )
        """The study on top of this storage."""

    def settle(self) -> None:
        """Wait until the database has every write.

        Raises:
            ServiceError: the database could not be reached for too long.
        """
        self._raise_write_errors(wait=True)

    def decide(self, trial_id: int, step: int, value: float, judge: Callable[[], bool]) -> bool:
        """Store a trial's report and return whether `judge` stops the trial.

        The database gets the report with the decision on it, or nothing. Where `judge` compared
        the trial with others, the database has both when this returns: so another driver, which
        may receive the reports in another order, repeats the decision.

        Args:
            trial_id: id of the trial in the database.
            step: number of the report; a report that is stored already is not stored again.
            value: the report's value.
            judge: pruner's decision; reads this storage and may write attributes of the trial.
        Raises:
            ServiceError: the database could not be reached for too long.
        """
        before = self._current_trials()[trial_id]
        if (recorded := recorded_stop(before, step)) is not None:
            return recorded
        self._deferred, self._compared = [], False
        try:
            if step not in before.intermediate_values:
                self.set_trial_intermediate_value(trial_id, step, value)
            stop = judge()
        except BaseException:
            self._trials_by_id[trial_id], self._deferred = before, None
            raise
        # The record is written before its parts: see `complete_decisions`.
        deferred, self._deferred = self._deferred, None
        rungs = {args[1]: args[2] for method, args in deferred if method == "set_trial_system_attr"}
        if rungs or stop:
            self.set_trial_system_attr(
                trial_id, RECORD, record(step, value, rungs=rungs, stop=stop)
            )
        for method, args in deferred:
            self._write_behind(method, *args)
        if self._compared or rungs or stop:
            self.settle()
        return stop

    # The methods of Optuna's storages; `BaseStorage` documents each.

    def delete_study(self, study_id: int) -> None:  # noqa: D102
        self.settle()
        super().delete_study(study_id)
        if study_id == self._study_id:
            self._study_id, self._trials_by_id = -1, {}

    def get_study_id_from_name(self, study_name: str) -> int:  # noqa: D102
        ours = study_name == self._name and self._study_id >= 0
        return self._study_id if ours else super().get_study_id_from_name(study_name)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:  # noqa: D102
        ours = study_id == self._study_id
        return list(self._directions) if ours else super().get_study_directions(study_id)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:  # noqa: D102
        trial_id = super().create_new_trial(study_id, template_trial)
        if study_id == self._study_id:
            self._stale.add(trial_id)
        return trial_id

    def set_trial_param(  # noqa: D102
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self._before_change(trial_id)
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(  # noqa: D102
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self._before_change(trial_id)
        return super().set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(  # noqa: D102
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._add(trial_id, "intermediate_values", step, intermediate_value)
        self._write_behind("set_trial_intermediate_value", trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._add(trial_id, "user_attrs", key, value)
        self._write_behind("set_trial_user_attr", trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._add(trial_id, "system_attrs", key, value)
        self._write_behind("set_trial_system_attr", trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:  # noqa: D102
        return (
            self._current_trials()[trial_id]
            if self._is_ours(trial_id)
            else super().get_trial(trial_id)
        )

    def get_all_trials(  # noqa: D102
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        if study_id != self._study_id:
            return super().get_all_trials(study_id, deepcopy, states)
        self._compared = True
        chosen = [t for t in self._current_trials().values() if states is None or t.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def _is_ours(self, trial_id: int) -> bool:
        return trial_id in self._trials_by_id or trial_id in self._stale

    def _add(self, trial_id: int, part: str, key: Any, value: Any) -> None:
        """Add an entry to a mapping of a trial."""
        if not self._is_ours(trial_id):
            return
        # A copy: callers that have read the trial before keep it as it was, as from a database.
        trial = copy.copy(self._current_trials()[trial_id])
        self.check_trial_is_updatable(trial_id, trial.state)
        setattr(trial, part, {**getattr(trial, part), key: value})
        self._trials_by_id[trial_id] = trial

    def _write_behind(self, method: str, trial_id: int, *args: Any) -> None:
        if not self._is_ours(trial_id):
            getattr(self._storage, method)(trial_id, *args)
        elif self._deferred is not None:
            self._deferred.append((method, (trial_id, *args)))
        else:
            self._raise_write_errors()
            write = partial(getattr(self._storage, method), trial_id, *args)
            self._pending.append(self._writer.submit(with_retries, write))

    def _before_change(self, trial_id: int) -> None:
        self.settle()
        if self._is_ours(trial_id):
            # Before the write: if it raises, the database may have it and only the reply was lost.
            self._stale.add(trial_id)

    def _current_trials(self) -> dict[int, FrozenTrial]:
        """Return all trials by id, in the order of their numbers; stale ones are read again."""
        for trial_id in sorted(self._stale):
            self._trials_by_id[trial_id] = self._storage.get_trial(trial_id)
            self._stale.discard(trial_id)
        return self._trials_by_id

    def _raise_write_errors(self, *, wait: bool = False) -> None:
        """Raise the first error of the writing thread; with `wait`, wait for all writes."""
        try:
            while self._pending and (wait or self._pending[0].done()):
                self._pending.popleft().result()
        except Exception:
            self._pending.clear()
            self._writer.shutdown(wait=False, cancel_futures=True)
            raise
