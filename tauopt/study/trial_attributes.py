"""Attributes of the trials of a study, by name: what tauopt keeps beside values and parameters."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.trial import FrozenTrial

from tauopt.config.source.yaml_source import Scalar
from tauopt.metrics.constraint_values import ConstraintValue
from tauopt.metrics.influence import PairedValue

DUPLICATE_OF = "duplicate_of"
REASON = "reason"
TRACEBACK = "traceback"
INTERVALS = "tauopt.intervals"
"""Attribute of a complete trial: ends of the 68 % interval of each objective that has one."""
BEST_REPORT = "tauopt.best_report"
"""Attribute of a complete trial: number of the report whose weights are kept."""
PAIRED_VALUE = "tauopt.paired_value"
"""Attribute of a complete trial: the first objective at that report, as a `PairedValue`."""
LOG_LOSS = "tauopt.log_loss"
"""Attribute of a complete trial: its cross-entropy at that report, by which ties are decided."""
PARAMETERS = "tauopt.parameters"
"""Attribute of a complete trial: number of its network's parameters."""
CONSTRAINTS = "tauopt.constraints"
"""Attribute of a complete trial: its constrained quantities, as fields of `ConstraintValue`s."""
CONFIRMS = "tauopt.confirms"
"""Attribute of a trial: number of the trial whose point it trains again, on another seed."""
VALUES = "tauopt.values"
"""Attribute of a trial of a user's HyperModel: real values by path."""


def is_of_search(trial: FrozenTrial) -> bool:
    """Return whether a trial was trained for a point of its own.

    Duplicates were not trained, and trials that confirm a point have that of another trial.
    """
    return DUPLICATE_OF not in trial.user_attrs and CONFIRMS not in trial.user_attrs


def broken_constraints(trial: FrozenTrial) -> tuple[str, ...]:
    """Return the constraints that a trial breaks beyond their errors, in words."""
    known = (ConstraintValue(**fields) for fields in trial.user_attrs.get(CONSTRAINTS, ()))
    return tuple(str(value) for value in known if value.is_broken)


def paired_value(trial: FrozenTrial) -> PairedValue:
    """Return the first objective of a trial that has `PAIRED_VALUE`."""
    return PairedValue.parse(trial.user_attrs[PAIRED_VALUE])


def values_of(trial: FrozenTrial) -> Mapping[str, Scalar]:
    """Return the real values of a trial, by path."""
    values: Mapping[str, Scalar] = trial.user_attrs.get(VALUES, trial.params)
    return values


def point_of(trial: FrozenTrial) -> Mapping[str, Scalar]:
    """Return a trial's point as it was enqueued, or else as it was sampled."""
    point: Mapping[str, Scalar] = trial.system_attrs.get("fixed_params") or trial.params
    return point
