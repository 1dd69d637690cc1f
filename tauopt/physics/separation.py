"""Measure how well one variable alone separates classes, whatever the shape of the difference."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_QUANTILES = np.arange(1, 50) / 50


class Separation(NamedTuple):
    """The area under the ROC curve of one class against the rest."""

    auc: float
    error: float
    """Standard deviation of `auc` (Hanley and McNeil, Radiology 143, 1982, equation 1)."""
    of_class: int
    rest: int
    """Candidates of the class and of the rest from which `auc` was measured."""


def separations(
    values: NDArray[np.float64], labels: NDArray[Any], *, classes: int
) -> list[Separation | None]:
    """Measure the ROC AUC of each class against the rest, by the likelihood ratio in bins.

    The bins are quantiles of each class.

    Args:
        values: (candidate,) of the variable, without NaN; in random order.
        labels: (candidate,) index of the class.
        classes: number of classes.
    Returns:
        for each class; None if either half lacks the class or the rest.
    """
    # One half of the candidates gives bins and likelihood ratios, the other half the AUC, so that
    # a variable without separation has 0.5 on average.
    fit_values, fit_labels = values[::2], labels[::2]
    by_class = [fit_values[fit_labels == index] for index in range(classes)]
    quantiles = [np.quantile(part, _QUANTILES) for part in by_class if len(part)]
    edges = np.unique(np.concatenate([*quantiles, []]))
    cell = np.searchsorted(edges, values) * classes + labels
    shape = len(edges) + 1, classes
    fit, test = (
        np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        for cells in (cell[::2], cell[1::2])
    )
    return [_separation(fit, test, index) for index in range(classes)]


def _separation(
    fit: NDArray[np.float64], test: NDArray[np.float64], index: int
) -> Separation | None:
    """Measure one class; `fit` and `test` are numbers of candidates, (bin, class)."""
    signal, rest = fit[:, index], np.delete(fit, index, axis=1).sum(axis=1)
    if not signal.sum() or not rest.sum():
        return None
    ratio = ((signal + 0.5) / signal.sum()) / ((rest + 0.5) / rest.sum())  # 0.5 for empty bins
    _, rank = np.unique(ratio, return_inverse=True)
    signal_at = np.bincount(rank, test[:, index])
    rest_at = np.bincount(rank, np.delete(test, index, axis=1).sum(axis=1))
    m, n = signal_at.sum(), rest_at.sum()
    if not m or not n:
        return None
    auc = float((signal_at * (np.cumsum(rest_at) - rest_at / 2)).sum() / (m * n))  # ties count half
    # Hanley and McNeil's Q1 - auc^2 and Q2 - auc^2
    q1, q2 = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    variance = (auc * (1 - auc) + (m - 1) * q1 + (n - 1) * q2) / (m * n)
    return Separation(auc, float(np.sqrt(max(variance, 0.0))), int(m), int(n))
