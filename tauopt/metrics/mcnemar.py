"""McNemar's test of two classifiers, and Holm's correction for many tests."""

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
    """Candidates that only one of two networks classifies correctly, and the p-value."""

    only_one: int
    only_other: int
    p_value: float
    """Two-sided, exact: binomial with probability 1/2 for each of these candidates."""

    def __str__(self) -> str:
        return f"{self.only_one:,} against {self.only_other:,}, {equation(self.p_value)}"


def mcnemar(first: Predictions, second: Predictions) -> McNemar | None:
    """Compare by McNemar's test how often two networks predict the true class.

    Args:
        first, second: predictions of the same candidates.
    Returns:
        the test; None where weights differ between candidates: the test is for counts, and a
        paired bootstrap of the accuracies replaces it.
    Raises:
        DataError: they are not the same candidates.
    Source:
        Q. McNemar, Psychometrika 12 (1947) 153, with the exact binomial distribution.
    """
    check_same(first, second)
    if not np.allclose(first.weights, first.weights[:1]):
        return None
    first_correct, second_correct = _correct(first), _correct(second)
    only_first, only_second = (
        int((first_correct & ~second_correct).sum()),
        int((second_correct & ~first_correct).sum()),
    )
    return McNemar(only_first, only_second, fair_coin_tails(only_first, only_first + only_second))


def _correct(predictions: Predictions) -> NDArray[np.bool_]:
    return np.asarray(predictions.probabilities.argmax(axis=1) == predictions.labels)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values with Holm's correction for their number, in the same order.

    Source:
        S. Holm, Scand. J. Stat. 6 (1979) 65.
    """
    corrected = [1.0] * len(p_values)
    least = 0.0  # a larger p-value never gets a smaller corrected one
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[int(index)] = least
    return corrected
