"""What was decided on a trial's report stands in the database whole, or not at all.

A pruner writes a rung for a report, and its answer stops the trial or lets it go on: several
writes, and a driver may be killed between any two. So one record of all of it is written first,
and its parts after it. A new driver writes the parts that are missing; it asks nobody anew, for
by then other trials may have come further.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.study._optuna_internals import storage_of, trial_id_of

RECORD = "tauopt.decision"
"""System attribute of a trial: the last decision on one of its reports."""
_STEP, _VALUE, _RUNGS, _STOP = "step", "value", "rungs", "stop"


def record(step: int, value: float, *, rungs: Mapping[str, Any], stop: bool) -> dict[str, Any]:
    """Return the record of a decision.

    Args:
        step: of the report that it was made on.
        value: that the report had.
        rungs: the attributes that the pruner wrote for it.
        stop: the trial ends with this report.
    """
    return {_STEP: step, _VALUE: value, _RUNGS: dict(rungs), _STOP: stop}


def decided(trial: FrozenTrial, step: int) -> bool | None:
    """Return whether a trial was stopped at a report; None if nothing is on record for it."""
    made = trial.system_attrs.get(RECORD)
    return bool(made[_STOP]) if made and made[_STEP] == step else None


def complete_decisions(study: optuna.Study) -> list[FrozenTrial]:
    """Write what an earlier driver decided and did not come to write.

    Returns:
        the trials that it had stopped, ended now.
    """
    stopped = []
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        made = trial.system_attrs.get(RECORD)
        if made is None:
            continue
        _write_parts(storage_of(study), trial, made)
        if made[_STOP]:
            study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)
            stopped.append(storage_of(study).get_trial(trial_id_of(trial)))
    return stopped


def _write_parts(
    storage: optuna.storages.BaseStorage, trial: FrozenTrial, made: Mapping[str, Any]
) -> None:
    if made[_STEP] not in trial.intermediate_values:
        storage.set_trial_intermediate_value(trial_id_of(trial), made[_STEP], made[_VALUE])
    for name, value in made[_RUNGS].items():
        if name not in trial.system_attrs:
            storage.set_trial_system_attr(trial_id_of(trial), name, value)
