"""Numbers that say how good a network is, by the names that an objective may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName
from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate, wilson
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import auc, rejections, roc


def measure(objective: ObjectiveName, predictions: Predictions) -> Estimate:
    """Return what `objective` names, with its 68 % interval.

    Raises:
        DataError: one class only, a score that is not finite, or no column `prongs` where
            the objective selects by it.
    """
    if objective.prongs is not None:
        predictions = predictions.with_prongs(objective.prongs)
    if objective.metric == "accuracy":
        return accuracy(predictions)
    if objective.metric == "balanced_accuracy":
        return balanced_accuracy(predictions)
    curve = roc(predictions.score, predictions.is_signal, predictions.weights)
    if objective.metric == "auc":
        return auc(curve)
    return rejections(curve, np.array([objective.at]))[0]


def accuracy(predictions: Predictions) -> Estimate:
    """Return the weighted fraction of candidates whose most probable class is the true one.

    Raises:
        DataError: a probability is not finite, weights do not add up to more than zero, or
            only one class is present, of which a network that always names it gets all right.
    """
    weights = predictions.weights
    total = float(weights.sum())
    if not np.isfinite(predictions.probabilities).all():
        raise DataError("probabilities must be finite; the network or its input is broken")
    if not total > 0.0 or (predictions.labels == predictions.labels[0]).all():
        raise DataError(
            "accuracy needs candidates of at least two classes and a positive sum of weights; "
            f"got {len(predictions)} candidates, sum of weights {total:.4g}"
        )
    fraction, variance, squares = _right(predictions)
    return Estimate(fraction, *wilson(fraction, variance, 1.0 / squares))


def balanced_accuracy(predictions: Predictions) -> Estimate:
    """Return the mean, over the true classes that are there, of the fraction that is named right.

    It does not depend on how many candidates of each class there are.

    Raises:
        DataError: a probability is not finite, or fewer than two classes have a positive sum of
            weights.
    """
    if not np.isfinite(predictions.probabilities).all():
        raise DataError("probabilities must be finite; the network or its input is broken")
    every = [predictions.where(predictions.labels == n) for n in range(len(predictions.classes))]
    there = [one for one in every if one.weights.sum() > 0]
    if len(there) < 2:
        raise DataError(
            "balanced accuracy needs at least two classes with a positive sum of weights; "
            f"got {len(there)} in {len(predictions)} candidates"
        )
    fraction, variance, squares = np.array([_right(one) for one in there]).T
    mean = float(fraction.mean())
    number = len(there) ** 2 / float(squares.sum())
    return Estimate(mean, *wilson(mean, float(variance.sum()) / len(there) ** 2, number))


def _right(predictions: Predictions) -> tuple[float, float, float]:
    """Return the weighted fraction named right, its variance, and sum w^2 / (sum w)^2."""
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    weights = predictions.weights / predictions.weights.sum()
    fraction = float(weights[right].sum())
    return fraction, float(np.sum(weights**2 * (right - fraction) ** 2)), float(np.sum(weights**2))


@dataclass(frozen=True)
class Confusion:
    """Which class is taken for which; every row adds up to one, or every column.

    Attributes:
        fractions: (true class, predicted class), weighted; a row (a column) of zeros where no
            candidate is of a class (is taken for it).
        errors: (true class, predicted class), standard deviations.
        counts: (true class,) candidates, unweighted.
    """

    fractions: NDArray[np.float64]
    errors: NDArray[np.float64]
    counts: NDArray[np.int64]


def confusion(predictions: Predictions, *, by: Literal["true", "predicted"] = "true") -> Confusion:
    """Return the confusion matrix, normalised by true or by predicted class, with errors.

    A candidate is predicted to be of its most probable class. The error of a fraction f is
    that of a weighted fraction, sqrt(sum w^2 (passes - f)^2) / sum w.
    """
    classes = len(predictions.classes)
    cell = predictions.labels.astype(np.intp) * classes + predictions.probabilities.argmax(axis=1)
    shape = (classes, classes)
    sums = np.bincount(cell, predictions.weights, minlength=classes**2).reshape(shape)
    squares = np.bincount(cell, predictions.weights**2, minlength=classes**2).reshape(shape)
    along = 1 if by == "true" else 0
    totals = sums.sum(axis=along, keepdims=True)
    usable = totals > 0
    totals = np.where(usable, totals, 1.0)
    fractions = np.where(usable, sums / totals, 0.0)
    others = squares.sum(axis=along, keepdims=True) - squares
    variance = squares * (1 - fractions) ** 2 + np.maximum(others, 0) * fractions**2
    return Confusion(
        fractions=fractions,
        errors=np.where(usable, np.sqrt(variance) / totals, 0.0),
        counts=np.bincount(predictions.labels, minlength=classes),
    )
