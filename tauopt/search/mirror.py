"""A study as its driver holds it in memory: it alone writes to it.

Of all that a report cost a trial, the database was the most: a read of the trial, of every trial
at a rung, and a write. Here the answer comes from memory, and a thread writes reports and
attributes behind it, in their order. Parameters and states are written before they count, and
after all that came before. Reports that a killed driver had not written come again: workers
repeat those that the study has not.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Container
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from tauopt.search.storage import patient


class Mirror:
    """A storage that knows the trials of one study; only for who holds the search's lock."""

    def __init__(self, study: optuna.Study) -> None:
        self._storage = study._storage
        self._study_id = study._study_id
        self._known: dict[int, FrozenTrial] = {}
        self._changed: set[int] = set()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="tauopt-reports")
        self._writing: deque[Future[None]] = deque()
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
            self._known[trial._trial_id] = trial
        self.study = optuna.load_study(
            study_name=study.study_name,
            storage=cast(BaseStorage, self),
            sampler=study.sampler,
            pruner=study.pruner,
        )
        """The study, through this storage."""

    def settle(self) -> None:
        """Wait until all is written.

        Raises:
            ServiceError: the database was away for too long.
        """
        self._check_writing(all_of_it=True)

    # What Optuna's storages do, by the same names: each method's meaning is in `BaseStorage`.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:  # noqa: D102
        trial_id: int = self._storage.create_new_trial(study_id, template_trial)
        self._changed.add(trial_id)
        return trial_id

    def set_trial_param(self, trial_id: int, *args: Any) -> None:  # noqa: D102
        self._before_change(trial_id)
        self._storage.set_trial_param(trial_id, *args)

    def set_trial_state_values(self, trial_id: int, *args: Any, **kwargs: Any) -> bool:  # noqa: D102
        self._before_change(trial_id)
        changed: bool = self._storage.set_trial_state_values(trial_id, *args, **kwargs)
        return changed

    def set_trial_intermediate_value(self, trial_id: int, step: int, value: float) -> None:  # noqa: D102
        self._add(trial_id, "intermediate_values", step, value)
        self._write_behind("set_trial_intermediate_value", trial_id, step, value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._add(trial_id, "user_attrs", key, value)
        self._write_behind("set_trial_user_attr", trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: D102
        self._add(trial_id, "system_attrs", key, value)
        self._write_behind("set_trial_system_attr", trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:  # noqa: D102
        return self._trials()[trial_id]

    def get_trial_user_attrs(self, trial_id: int) -> dict[str, Any]:  # noqa: D102
        attributes: dict[str, Any] = self.get_trial(trial_id).user_attrs
        return attributes

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:  # noqa: D102
        attributes: dict[str, Any] = self.get_trial(trial_id).system_attrs
        return attributes

    def get_all_trials(  # noqa: D102
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        chosen = [t for t in self._trials().values() if states is None or t.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def _add(self, trial_id: int, part: str, key: Any, value: Any) -> None:
        """Add to a part of a trial; who has asked for the trial before keeps it as it was."""
        trial = copy.copy(self._trials()[trial_id])
        setattr(trial, part, {**getattr(trial, part), key: value})
        self._known[trial_id] = trial

    def _write_behind(self, method: str, *args: Any) -> None:
        self._check_writing()
        write = partial(getattr(self._storage, method), *args)
        self._writing.append(self._writer.submit(patient, write))

    def _before_change(self, trial_id: int) -> None:
        self.settle()
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
