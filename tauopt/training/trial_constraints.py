"""Constrained quantities of a trial: those of a report, and with its costs those of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tauopt.config.settings.experiment import Constraint, Objective
from tauopt.config.settings.objective import (
    OVERTRAINING,
    CostName,
    parse_constraint,
    parse_objective,
)
from tauopt.metrics.constraint_values import ConstraintValue, constraint_value, measured
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions
from tauopt.training.network_and_data import Trainer, TrialData


def constraints_of_report(
    objective: Objective,
    trainer: Trainer,
    data: TrialData,
    validation: Predictions,
    *,
    alive: Callable[[], None],
) -> list[ConstraintValue]:
    """Return the constrained metrics of the network as it is, without its costs.

    Args:
        objective: with the constraints.
        trainer: of the network.
        data: of the trial.
        validation: predictions of the validation split.
        alive: called before each batch of training candidates; may raise to stop.
    """
    seen = None
    if OVERTRAINING in objective.constraints:
        seen = data.seen_predictions(trainer.predict_seen(data, alive=alive))
    first = parse_objective(objective.first)
    return list(measured(objective.constraints, first, validation, seen))


def with_costs(
    metrics: list[ConstraintValue],
    constraints: Mapping[str, Constraint],
    latencies: Mapping[str, Estimate],
    *,
    parameters: int,
) -> dict[str, dict[str, Any]]:
    """Return all constrained quantities as fields of `ConstraintValue`s, by name.

    Args:
        metrics: from `constraints_of_report`.
        constraints: limits by name.
        latencies: of the network, by the cost's name.
        parameters: number of the network's parameters.
    """
    costs = {**latencies, "parameters": Estimate(parameters, parameters, parameters)}
    known = {each.name: each for each in metrics}
    known |= {
        name: constraint_value(name, costs[name], limit)
        for name, limit in constraints.items()
        if name in costs
    }
    return {name: asdict(known[name]) for name in constraints}


def costs_of(objective: Objective) -> list[CostName]:
    """Return the costs that are objectives or constrained."""
    names = dict.fromkeys((*objective.minimize, *objective.constraints))
    return [each for each in map(parse_constraint, names) if isinstance(each, CostName)]
