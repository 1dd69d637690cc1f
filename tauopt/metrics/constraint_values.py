"""Constrained quantities, and by how much they break their limits beyond their errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tauopt.config.settings.experiment import Constraint
from tauopt.config.settings.objective import ObjectiveName, parse_constraint
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions


@dataclass(frozen=True)
class ConstraintValue:
    """A constrained quantity with its 68 % interval and its limit."""

    name: str
    value: float
    low: float
    high: float
    limit: str
    """The limit in words, such as `at most 0.05`."""
    beyond: float
    """How far the near end of the interval lies beyond the limit; it is broken above 0."""

    @property
    def is_broken(self) -> bool:
        """Whether the limit is broken beyond the error."""
        return self.beyond > 0

    def __str__(self) -> str:
        interval = "" if self.low == self.high else f" ({self.low:.4g} to {self.high:.4g})"
        return f"{self.name} is {self.value:.4g}{interval}, allowed {self.limit}"


def constraint_value(name: str, estimate: Estimate, limit: Constraint) -> ConstraintValue:
    """Compare a quantity with its limit."""
    if limit.max is not None:
        words, beyond = f"at most {limit.max:g}", estimate.low - limit.max
    else:
        least = limit.min if limit.min is not None else -math.inf
        words, beyond = f"at least {least:g}", least - estimate.high
    value, low, high = map(float, estimate.triple)
    return ConstraintValue(name, value, low, high, words, float(beyond))


def measured(
    constraints: Mapping[str, Constraint],
    objective: ObjectiveName,
    validation: Predictions,
    training: Predictions | None,
) -> Iterator[ConstraintValue]:
    """Yield the constrained quantities that predictions tell; costs are left out.

    Args:
        constraints: limits by name.
        objective: the first objective, for `overtraining`.
        validation: predictions of the validation split.
        training: of training candidates; None unless `overtraining` is constrained.
    Raises:
        DataError: a metric is undefined (see `named_metrics.measure`).
    """
    for name, limit in constraints.items():
        quantity = parse_constraint(name)
        if quantity is None and training is not None:
            estimate = overtraining(measure(objective, training), measure(objective, validation))
            yield constraint_value(name, estimate, limit)
        elif isinstance(quantity, ObjectiveName):
            yield constraint_value(name, measure(quantity, validation), limit)


def overtraining(training: Estimate, validation: Estimate) -> Estimate:
    """Return the relative loss of a metric from training to validation candidates, with its error.

    It is (training - validation) / |training|. The samples are independent: so the relative errors
    of metrics of one sign add in quadrature, else the errors.
    """
    errors = [0.5 * (each.high - each.low) for each in (training, validation)]
    scale = abs(training.value)
    loss, ratio = (training.value - validation.value) / scale, validation.value / training.value
    if ratio <= 0.0:
        error = math.hypot(*errors) / scale
        return Estimate(loss, loss - error, loss + error)
    spread = math.hypot(errors[0] / training.value, errors[1] / validation.value)
    sign = math.copysign(1.0, training.value)
    ends = [sign * (1.0 - ratio * math.exp(each)) for each in (spread, -spread)]
    return Estimate(loss, min(ends), max(ends))
