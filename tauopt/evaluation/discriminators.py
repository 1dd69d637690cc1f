"""The scores of a saved model that can be cut on, from class probabilities.

They are those that `tauopt.models.scores` computes in the model's graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.working_points import AGAINST
from tauopt.evaluation.predictions import Predictions

SMALLEST = 1e-37
"""Sums of probabilities that others are divided by are at least this."""


def discriminators(predictions: Predictions) -> dict[str, NDArray[np.float64]]:
    """Return `against_<class>` = signal / (signal + class) for each of several background classes.

    Returns:
        (N,) by name; nothing where the task has one background class or none.
    """
    others = [name for name in predictions.classes if name not in predictions.signal]
    if len(others) < 2:
        return {}
    signal = predictions.score
    found = {}
    for name in others:
        other = predictions.probabilities[:, predictions.classes.index(name)].astype(np.float64)
        found[AGAINST + name] = signal / np.maximum(signal + other, SMALLEST)
    return found


def all_columns(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """Return spectators and discriminators by name, each (N,): all that working points read."""
    return {**predictions.columns, **discriminators(predictions)}
