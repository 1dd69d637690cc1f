"""Ties: which of several values on the same candidates can't be told from the best one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tauopt.metrics.influence import PairedValue
from tauopt.metrics.seed_means import SeedMean

Value = TypeVar("Value", PairedValue, SeedMean)

TIED = 1.64
"""Errors of a paired difference within which two values are tied: 5 % on one side."""


def tied_with_best(
    values: Sequence[Value],
    losses: Sequence[float],
    *,
    errors: float = TIED,
    larger: bool = True,
) -> list[int]:
    """Return the indices of the values that are tied with the best one, the lowest loss first.

    Among what is tied, the largest value is mostly the luckiest. A loss that all candidates decide
    tells these networks apart better: see README on how a search chooses.

    Args:
        values: of networks, or means over seeds, on the same candidates; at least one.
        losses: their `log_loss`, or the lowest over seeds.
        errors: errors of the paired difference within which two values are tied.
        larger: whether larger is better.
    """
    sign = 1.0 if larger else -1.0
    best = max(values, key=lambda value: sign * value.value)

    def is_tied(index: int) -> bool:
        difference, error = best.ahead_of(values[index])
        return sign * difference <= errors * error

    return sorted(filter(is_tied, range(len(values))), key=lambda index: (losses[index], index))
