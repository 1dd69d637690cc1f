"""Is one network right more often than another? McNemar's test, and many tests at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.bootstrap import check_same
from tauopt.metrics.estimate import equation
from tauopt.metrics.predictions import Predictions
from tauopt.physics.p_values import fair_coin_tails


@dataclass(frozen=True)
class McNemar:
    """Candidates that only one of two networks names right, and the chance of so many."""

    only_one: int
    only_other: int
    p_value: float
    """Two-sided, exact: binomial with probability 1/2 for each of these candidates."""

    def __str__(self) -> str:
        return f"{self.only_one:,} against {self.only_other:,}, {equation(self.p_value)}"


def mcnemar(one: Predictions, other: Predictions) -> McNemar | None:
    """Compare how often two networks name the true class of the same candidates.

    Returns:
        the test; None where weights differ between candidates, for which it is not made: a paired
        bootstrap of the accuracies is.
    Raises:
        DataError: they are not the same candidates.
    Source:
        Q. McNemar, Psychometrika 12 (1947) 153, with the exact binomial distribution.
    """
    check_same(one, other)
    if not np.allclose(one.weights, one.weights[:1]):
        return None
    right, others = _right(one), _right(other)
    only_one, only_other = int((right & ~others).sum()), int((others & ~right).sum())
    both = only_one + only_other
    chance = fair_coin_tails(only_one, both)
    return McNemar(only_one, only_other, chance)


def _right(predictions: Predictions) -> NDArray[np.bool_]:
    return np.asarray(predictions.probabilities.argmax(axis=1) == predictions.labels)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order.

    Source:
        S. Holm, Scand. J. Stat. 6 (1979) 65.
    """
    corrected = [1.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[int(index)] = least
    return corrected
