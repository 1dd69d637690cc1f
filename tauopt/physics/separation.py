"""How well one variable alone tells classes apart, whatever the way in which it differs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_QUANTILES = np.arange(1, 50) / 50


class Separation(NamedTuple):
    """The area under the ROC curve of one class against the rest."""

    auc: float
    error: float
    """Standard deviation (Hanley and McNeil, Radiology 143, 1982, equation 1)."""
    of_class: int
    rest: int
    """Candidates of the class and of the rest that it was measured on."""


def separations(
    values: NDArray[np.float64], labels: NDArray[Any], *, classes: int
) -> list[Separation | None]:
    """Measure for each class how well the likelihood ratio in bins of a variable picks it out.

    One half of the candidates gives bins, quantiles of each class, and the likelihood ratios; the
    other half is judged by them, so that what chance does not separate has 0.5 on average.

    Args:
        values: (candidate,) of the variable, without NaN; in random order.
        labels: (candidate,) index of the class.
        classes: number of classes.
    Returns:
        for each class, None where either half lacks it or the rest.
    """
    half = values[::2], labels[::2]
    parts = [half[0][half[1] == index] for index in range(classes)]
    quantiles = [np.quantile(part, _QUANTILES) for part in parts if len(part)]
    edges = np.unique(np.concatenate([*quantiles, []]))
    cell = np.searchsorted(edges, values) * classes + labels
    shape = len(edges) + 1, classes
    fitted, judged = (
        np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        for cells in (cell[::2], cell[1::2])
    )
    return [_one(fitted, judged, index) for index in range(classes)]


def _one(fitted: NDArray[np.float64], judged: NDArray[np.float64], index: int) -> Separation | None:
    """Measure one class; the arguments are (bin, class) candidates."""
    signal, rest = fitted[:, index], np.delete(fitted, index, axis=1).sum(axis=1)
    if not signal.sum() or not rest.sum():
        return None
    ratio = ((signal + 0.5) / signal.sum()) / ((rest + 0.5) / rest.sum())
    _, place = np.unique(ratio, return_inverse=True)
    right = np.bincount(place, judged[:, index])
    wrong = np.bincount(place, np.delete(judged, index, axis=1).sum(axis=1))
    m, n = right.sum(), wrong.sum()
    if not m or not n:
        return None
    auc = float((right * (np.cumsum(wrong) - wrong / 2)).sum() / (m * n))
    alike, beyond = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    variance = (auc * (1 - auc) + (m - 1) * alike + (n - 1) * beyond) / (m * n)
    return Separation(auc, float(np.sqrt(max(variance, 0.0))), int(m), int(n))
