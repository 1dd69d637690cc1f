"""Write-ahead records of pruning decisions: a decision is in the database whole, or not at all.

For one report the pruner writes a rung, and its decision stops the trial or lets it go on: several
writes, and a driver may be killed between any two. So one record of all of it is written first,
and its parts after it. A new driver writes the parts that are missing. It does not ask the pruner
again, because other trials may have come further by then.
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
        step: number of the report that was decided on.
        value: the report's value.
        rungs: attributes that the pruner wrote for the report.
        stop: whether the trial ends with this report.
    """
    return {_STEP: step, _VALUE: value, _RUNGS: dict(rungs), _STOP: stop}


def recorded_stop(trial: FrozenTrial, step: int) -> bool | None:
    """Return whether a trial was stopped at a report; None if there is no record of the report."""
    decision = trial.system_attrs.get(RECORD)
    return bool(decision[_STOP]) if decision and decision[_STEP] == step else None


def complete_decisions(study: optuna.Study) -> list[FrozenTrial]:
    """Carry out the recorded decisions that a killed driver did not finish writing.

    Returns:
        the trials that it had stopped, ended now.
    """
    storage, stopped = storage_of(study), []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        decision = trial.system_attrs.get(RECORD)
        if decision is None:
            continue
        trial_id = trial_id_of(trial)
        if decision[_STEP] not in trial.intermediate_values:
            storage.set_trial_intermediate_value(trial_id, decision[_STEP], decision[_VALUE])
        for name, value in decision[_RUNGS].items():
            if name not in trial.system_attrs:
                storage.set_trial_system_attr(trial_id, name, value)
        if decision[_STOP]:
            study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)
            stopped.append(storage.get_trial(trial_id))
    return stopped
