"""A metric on two independent samples: is the difference more than chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tauopt.config.settings.objective import ObjectiveName
from tauopt.metrics.estimate import shown
from tauopt.metrics.influence import natural_scale

BEYOND = 2.0
"""Errors of a difference above which it is hardly chance."""


def errors_apart(
    objective: ObjectiveName, one: Sequence[float], other: Sequence[float]
) -> float | None:
    """Return a metric on one sample less that on another one, in errors of the difference.

    Args:
        objective: the metric; differences are on its `natural_scale`.
        one, other: value, low, high of each.
    Returns:
        the difference; None where either is only a limit.
    """
    ends = [[natural_scale(objective, value) for value in triple] for triple in (one, other)]
    error = math.hypot(*(0.5 * (high - low) for _, low, high in ends))
    if min(high - low for _, low, high in ends) <= 0:
        return None
    return (ends[0][0] - ends[1][0]) / error


def compare_splits(
    objective: ObjectiveName, validation: Sequence[float], test: Sequence[float]
) -> str:
    """Return a sentence on a metric on the validation and on the test split.

    Args:
        objective: the metric.
        validation, test: value, low, high of each.
    """
    sentence = f"{objective}: {shown(validation)} on validation, {shown(test)} on test"
    apart = errors_apart(objective, validation, test)
    if apart is None:
        return f"{sentence}: a limit, too few candidates pass to compare them"
    sentence += f", {abs(apart):.1f} errors of the difference"
    if apart > BEYOND:
        return (
            f"{sentence} lower: more than chance; of the trial that was best on validation the "
            "value there is too large, and that on test is the one to quote"
        )
    if apart < -BEYOND:
        return f"{sentence} higher: more than chance; do the splits differ? (tauopt validate-data)"
    return f"{sentence}: as chance has it"
