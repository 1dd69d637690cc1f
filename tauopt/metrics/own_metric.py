"""A metric of the user's own, a function `module:function` of arrays, with errors by bootstrap."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName
from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions
from tauopt.own_code import OwnCodeError, import_own

Floats = NDArray[np.float64]

ARGUMENTS = ("scores", "labels", "weights", "probabilities", "true_class", "spectators")
"""What a function may ask for by the names of its parameters: the score and the truth, True for
signal, each (N,); weights (N,); class probabilities (N, class) and the index of the true class,
(N,); a mapping of spectators, (N,) each, by name."""
_MOST, _FEWEST = 256, 32
"""Replicas of the bootstrap: an error is known within 4 %, of the largest samples within 12 %."""
_WORK = 3e7
"""Candidates times replicas: a function that sorts a million candidates takes seconds a report."""
_SEED = 1
"""The same replicas for all trials, so that their differences have errors too."""


def load_metric(objective: ObjectiveName) -> Callable[..., Any]:
    """Import the function of an objective.

    Raises:
        OwnCodeError: it does not exist, is no function, or asks for anything but `ARGUMENTS`.
    """
    function = import_own(objective.function)
    if not callable(function):
        raise OwnCodeError(f"{objective.function} is {function!r}; expected a function of arrays")
    unknown = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ARGUMENTS and parameter.default is inspect.Parameter.empty
    ]
    if unknown:
        raise OwnCodeError(
            f"{objective.function} asks for {', '.join(unknown)}; a metric may ask for "
            f"{', '.join(ARGUMENTS)}, by these names"
        )
    loaded: Callable[..., Any] = function
    return loaded


def own_value(
    objective: ObjectiveName, predictions: Predictions, *, weights: Floats | None = None
) -> float:
    """Return the user's metric of predictions.

    Args:
        objective: names the function; candidates of its number of prongs are selected already.
        predictions: of N candidates.
        weights: (N,) in place of those of the predictions.
    Raises:
        DataError: the function raised an error, or returned something else than a finite number.
    """
    function = load_metric(objective)
    known = {
        "scores": predictions.score,
        "labels": predictions.is_signal,
        "weights": predictions.weights if weights is None else weights,
        "probabilities": predictions.probabilities,
        "true_class": predictions.labels,
        "spectators": predictions.columns,
    }
    wanted = {name: known[name] for name in inspect.signature(function).parameters if name in known}
    try:
        value = function(**wanted)
    except Exception as error:
        raise DataError(f"{objective} raised {type(error).__name__}: {error}") from error
    return _number(value, objective, len(predictions))


def _number(value: Any, objective: ObjectiveName, candidates: int) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        is_number = np.issubdtype(value.dtype, np.floating)
    if not is_number:
        raise DataError(f"{objective} returned {_described(value)}; expected a real number")
    if not np.isfinite(float(value)):
        raise DataError(
            f"{objective} returned {value} for {candidates} candidates; expected a finite "
            "number, also where no candidate passes"
        )
    return float(value)


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"{value!r} of type {type(value).__name__}"


def own_replicas(objective: ObjectiveName, predictions: Predictions) -> Floats:
    """Return the user's metric in replicas of a bootstrap, (replica,), computed once.

    Each replica counts each candidate a Poisson(1) number of times, the same for all networks on
    the same candidates.
    """
    name = str(objective)
    if name not in predictions.replicas:
        candidates = len(predictions)
        rng = np.random.default_rng(_SEED)
        count = int(np.clip(_WORK / max(candidates, 1), _FEWEST, _MOST))
        predictions.replicas[name] = np.array(
            [
                own_value(
                    objective,
                    predictions,
                    weights=predictions.weights * rng.poisson(1.0, candidates),
                )
                for _ in range(count)
            ]
        )
    return predictions.replicas[name]


def measure_own(objective: ObjectiveName, predictions: Predictions) -> Estimate:
    """Return the user's metric with the 68 % interval of its bootstrap."""
    value = own_value(objective, predictions)
    low, high = np.percentile(own_replicas(objective, predictions), [15.865, 84.135])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def own_influence(objective: ObjectiveName, predictions: Predictions, *, size: int) -> Floats:
    """Return deviations of the replicas whose squares add up to the variance, (size,).

    They stand for the influences of groups of candidates: the replicas of two networks on the same
    candidates fluctuate together, so the deviations' difference has the error of the difference.
    """
    replicas = own_replicas(objective, predictions)
    deviations = (replicas - replicas.mean()) / np.sqrt(len(replicas) - 1)
    return np.pad(deviations, (0, size - len(deviations)))
