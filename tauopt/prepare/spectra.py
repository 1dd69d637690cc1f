"""Spectra of the balanced variables in the training split, before and after balancing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.dataset import Dataset

REPORT = "spectra.json"
BINS = 40
_WIDE = 8.0
"""Bins are logarithmic where the largest edge is more than this times the smallest."""


class Spectra:
    """Sums of weights, and of their squares, by class and bin, of one variable.

    The edges come from the first block, which is a uniform sample: they span all but 0.1 % of
    it; the rest is counted in an underflow and an overflow bin.
    """

    def __init__(self, variable: str, classes: Sequence[str]) -> None:
        self._variable, self._classes = variable, tuple(classes)
        self._edges = np.empty(0)
        # (before or after, weights or their squares, class, bin)
        self._sums = np.zeros((2, 2, len(self._classes), BINS + 2))
        self._counts = np.zeros(len(self._classes), np.int64)

    def add(
        self,
        values: NDArray[np.float64],
        labels: NDArray[Any],
        *,
        before: NDArray[np.float64],
        after: NDArray[np.float64],
    ) -> None:
        """Add training candidates with weights before and after balancing, all (candidate)."""
        if not len(self._edges):
            self._edges = _edges(values)
        bins = np.searchsorted(self._edges, values, side="right")
        index = labels.astype(np.int64) * (BINS + 2) + bins
        shape = self._sums.shape[2:]
        for stage, weights in enumerate((before, after)):
            for power in (1, 2):
                sums = np.bincount(index, weights**power, minlength=shape[0] * shape[1])
                self._sums[stage, power - 1] += sums.reshape(shape)
        self._counts += np.bincount(labels, minlength=len(self._classes))

    def plain(self) -> dict[str, Any]:
        """Return the report for JSON; sums have BINS + 2 bins, the outer ones open."""
        return {
            "variable": self._variable,
            "edges": self._edges.tolist(),
            "classes": {
                name: {"candidates": int(self._counts[i])}
                | {
                    name_of_stage: {
                        "sums": self._sums[stage, 0, i].tolist(),
                        "squares": self._sums[stage, 1, i].tolist(),
                    }
                    for stage, name_of_stage in enumerate(("before", "after"))
                }
                for i, name in enumerate(self._classes)
            },
        }


def spectra_of(dataset: Dataset) -> list[Spectra]:
    """Return empty spectra of each variable that a dataset balances."""
    axes = dataset.reweight.axes if dataset.reweight else {}
    return [Spectra(axis.expression or name, list(dataset.classes)) for name, axis in axes.items()]


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = (float(edge) for edge in np.quantile(values, (0.0005, 0.9995)))
    if low > 0 and high > _WIDE * low:
        return np.geomspace(low, high, BINS + 1)
    return np.linspace(low, high if high > low else low + 1.0, BINS + 1)
