"""The metric that an objective names: AUC, rejection, accuracy, log loss; confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName
from tauopt.errors import DataError
from tauopt.metrics.background_rejection import mean_rejection, partial_area, rejections
from tauopt.metrics.estimate import Estimate, wilson
from tauopt.metrics.log_loss import neg_log_loss
from tauopt.metrics.own_metric import measure_own
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import auc


def measure(objective: ObjectiveName, predictions: Predictions) -> Estimate:
    """Return the metric that `objective` names, with its 68 % interval.

    Raises:
        DataError: there is one class only, a score is not finite, there is no column `prongs`
            and the objective selects by it, or the user's function fails.
    """
    if objective.prongs is not None:
        predictions = predictions.with_prongs(objective.prongs)
    if objective.metric == "accuracy":
        return accuracy(predictions)
    if objective.metric == "balanced_accuracy":
        return balanced_accuracy(predictions)
    if objective.metric == "neg_log_loss":
        return neg_log_loss(predictions)
    if objective.metric == "own":
        return measure_own(objective, predictions)
    curve = predictions.roc_curve
    if objective.metric == "auc":
        return partial_area(curve, objective.efficiencies) if objective.at else auc(curve)
    if isinstance(objective.at, tuple):
        return mean_rejection(curve, objective.efficiencies)
    return rejections(curve, objective.efficiencies)[0]


def accuracy(predictions: Predictions) -> Estimate:
    """Return the weighted fraction of candidates whose most probable class is the true one.

    Raises:
        DataError: a probability is not finite, weights do not add up to more than zero, or only
            one class is present: a network that always predicts it would be right every time.
    """
    weights = predictions.weights
    total = float(weights.sum())
    _check_finite(predictions)
    if not total > 0.0 or (predictions.labels == predictions.labels[0]).all():
        raise DataError(
            "accuracy needs candidates of at least two classes and a positive sum of weights; "
            f"got {len(predictions)} candidates, sum of weights {total:.4g}"
        )
    fraction, variance, squares = _correct_fraction(predictions)
    return Estimate(fraction, *wilson(fraction, variance, 1.0 / squares))


def balanced_accuracy(predictions: Predictions) -> Estimate:
    """Return the balanced accuracy: the mean recall of the true classes that are present.

    It does not depend on how many candidates of each class there are.

    Raises:
        DataError: a probability is not finite, or fewer than two classes have a positive sum of
            weights.
    """
    _check_finite(predictions)
    classes = range(len(predictions.classes))
    by_class = [predictions.where(predictions.labels == index) for index in classes]
    present = [part for part in by_class if part.weights.sum() > 0]
    if len(present) < 2:
        raise DataError(
            "balanced accuracy needs at least two classes with a positive sum of weights; "
            f"got {len(present)} in {len(predictions)} candidates"
        )
    fraction, variance, squares = np.array([_correct_fraction(part) for part in present]).T
    mean = float(fraction.mean())
    number = len(present) ** 2 / float(squares.sum())
    return Estimate(mean, *wilson(mean, float(variance.sum()) / len(present) ** 2, number))


def _check_finite(predictions: Predictions) -> None:
    if bad := np.count_nonzero(~np.isfinite(predictions.probabilities).all(axis=1)):
        raise DataError(
            f"probabilities must be finite, got others for {bad} of {len(predictions)} candidates; "
            "the network or its input is broken"
        )


def _correct_fraction(predictions: Predictions) -> tuple[float, float, float]:
    """Return the weighted fraction with the right class, its variance, and sum w^2 / (sum w)^2."""
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    weights = predictions.weights / predictions.weights.sum()
    fraction = float(weights[right].sum())
    return fraction, float(np.sum(weights**2 * (right - fraction) ** 2)), float(np.sum(weights**2))


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix, normalised by rows (true classes) or by columns (predicted classes).

    Attributes:
        fractions: (true class, predicted class), weighted; a row (a column) of zeros where no
            candidate is of a class (is predicted to be of it).
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
    axis = 1 if by == "true" else 0
    totals = sums.sum(axis=axis, keepdims=True)
    usable = totals > 0
    totals = np.where(usable, totals, 1.0)
    fractions = np.where(usable, sums / totals, 0.0)
    failing_squares = squares.sum(axis=axis, keepdims=True) - squares
    variance = squares * (1 - fractions) ** 2 + np.maximum(failing_squares, 0) * fractions**2
    return Confusion(
        fractions=fractions,
        errors=np.where(usable, np.sqrt(variance) / totals, 0.0),
        counts=np.bincount(predictions.labels, minlength=classes),
    )
