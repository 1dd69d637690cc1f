"""A study as its driver holds it in memory: it alone writes to it.

Of all that a report cost a trial, the database was the most: a read of the trial, of every trial
at a rung, and a write. Here the answer comes from memory, and a thread writes reports and
attributes behind it, in their order. Parameters and states are written before they count, and
after all that came before; so is what was decided by comparing a report with other trials.
Other reports that a killed driver had not written come again: workers repeat those that the study
has not.
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
from tauopt.study.decision_records import RECORD, decided, record
from tauopt.study.storage_views import ForwardingStorage
from tauopt.study.study_storage import patient


class CachedStorage(ForwardingStorage):
    """A storage that knows the trials of one study; only for who holds the search's lock.

    Other studies of the database are reached through it as they are.
    """

    def __init__(self, study: optuna.Study) -> None:
        super().__init__(storage_of(study))
        self._study_id = study_id_of(study)
        self._name = study.study_name
        self._directions = list(study.directions)
        self._known: dict[int, FrozenTrial] = {}
        self._changed: set[int] = set()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="tauopt-reports")
        self._writing: deque[Future[None]] = deque()
        self._held: list[tuple[str, tuple[Any, ...]]] | None = None
        self._looked = False
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
            self._known[trial_id_of(trial)] = trial
        self.study = optuna.load_study(
            study_name=study.study_name, storage=self, sampler=study.sampler, pruner=study.pruner
        )
        """The study, through this storage."""

    def settle(self) -> None:
        """Wait until all is written.

        Raises:
            ServiceError: the database was away for too long.
        """
        self._check_writing(all_of_it=True)

    def decide(self, trial_id: int, step: int, value: float, judge: Callable[[], bool]) -> bool:
        """Take a trial's report and say whether `judge` stops the trial for it.

        The database gets the report and all that was decided on it, or nothing. Where `judge`
        compared the trial with others, it has them when this returns: another driver, which may
        hear the reports in another order, decides the same.

        Args:
            trial_id: of the trial.
            step: of the report; one that is known already is not taken twice.
            value: the report's.
            judge: reads this storage, and writes attributes of the trial.
        Raises:
            ServiceError: the database was away for too long.
        """
        before = self._trials()[trial_id]
        if (known := decided(before, step)) is not None:
            return known
        self._held, self._looked = [], False
        try:
            if step not in before.intermediate_values:
                self.set_trial_intermediate_value(trial_id, step, value)
            stop = judge()
        except BaseException:
            self._known[trial_id], self._held = before, None
            raise
        held, self._held = self._held, None
        rungs = {args[1]: args[2] for method, args in held if method == "set_trial_system_attr"}
        if rungs or stop:
            self.set_trial_system_attr(
                trial_id, RECORD, record(step, value, rungs=rungs, stop=stop)
            )
        for method, args in held:
            self._write_behind(method, *args)
        if self._looked or rungs or stop:
            self.settle()
        return stop

    # What Optuna's storages do, by the same names: each method's meaning is in `BaseStorage`.

    def delete_study(self, study_id: int) -> None:  # noqa: D102
        self.settle()
        super().delete_study(study_id)
        if study_id == self._study_id:
            self._study_id, self._known = -1, {}

    def get_study_id_from_name(self, study_name: str) -> int:  # noqa: D102
        ours = study_name == self._name and self._study_id >= 0
        return self._study_id if ours else super().get_study_id_from_name(study_name)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:  # noqa: D102
        ours = study_id == self._study_id
        return list(self._directions) if ours else super().get_study_directions(study_id)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:  # noqa: D102
        trial_id = super().create_new_trial(study_id, template_trial)
        if study_id == self._study_id:
            self._changed.add(trial_id)
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
        return self._trials()[trial_id] if self._is_ours(trial_id) else super().get_trial(trial_id)

    def get_all_trials(  # noqa: D102
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        if study_id != self._study_id:
            return super().get_all_trials(study_id, deepcopy, states)
        self._looked = True
        chosen = [t for t in self._trials().values() if states is None or t.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def _is_ours(self, trial_id: int) -> bool:
        return trial_id in self._known or trial_id in self._changed

    def _add(self, trial_id: int, part: str, key: Any, value: Any) -> None:
        """Add to a part of a trial; who has asked for the trial before keeps it as it was."""
        if not self._is_ours(trial_id):
            return
        trial = copy.copy(self._trials()[trial_id])
        self.check_trial_is_updatable(trial_id, trial.state)
        setattr(trial, part, {**getattr(trial, part), key: value})
        self._known[trial_id] = trial

    def _write_behind(self, method: str, trial_id: int, *args: Any) -> None:
        if not self._is_ours(trial_id):
            getattr(self._storage, method)(trial_id, *args)
        elif self._held is not None:
            self._held.append((method, (trial_id, *args)))
        else:
            self._check_writing()
            write = partial(getattr(self._storage, method), trial_id, *args)
            self._writing.append(self._writer.submit(patient, write))

    def _before_change(self, trial_id: int) -> None:
        self.settle()
        if self._is_ours(trial_id):
            self._changed.add(trial_id)  # also if it fails: the answer alone may have been lost

    def _trials(self) -> dict[int, FrozenTrial]:
        """Return all trials by id, in the order of their numbers, each as it is now."""
        for trial_id in sorted(self._changed):
            self._known[trial_id] = self._storage.get_trial(trial_id)
            self._changed.discard(trial_id)
        return self._known

    def _check_writing(self, *, all_of_it: bool = False) -> None:
        """Raise what went wrong in writing; waits for what is not written yet only if asked."""
        try:
            while self._writing and (all_of_it or self._writing[0].done()):
                self._writing.popleft().result()
        except Exception:
            self._writing.clear()
            self._writer.shutdown(wait=False, cancel_futures=True)
            raise
