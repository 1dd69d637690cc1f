"""Give every class the spectrum of some classes, so that networks can't learn it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.prepare.blocks import Block

SAMPLE = 1_000_000
"""Candidates whose values set the bin edges: the first of the shuffled stream."""


def quantile_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return the inner edges of bins that hold about equally many values.

    Returns:
        at most `bins - 1` increasing edges; fewer where many values are equal. The outermost
        bins are open, so that no value lies outside.
    """
    return np.unique(np.quantile(values, np.arange(1, bins) / bins)) if bins > 1 else np.empty(0)


def bin_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each value, 0 to len(edges): bin i is [edges[i - 1], edges[i])."""
    return np.searchsorted(edges, values, side="right").astype(np.int64)


@dataclass(frozen=True)
class Spectrum:
    """Factors on the weights, fitted on the training split."""

    edges: NDArray[np.float64]
    factors: NDArray[np.float64]
    """(class, bin)."""

    def apply(self, block: Block) -> Block:
        """Return the block with reweighted candidates."""
        bins = bin_of(block.spectrum, self.edges)
        return block.with_weights(block.weights * self.factors[block.labels, bins])


def find_edges(
    blocks: Iterable[Block], *, changed: Sequence[int], bins: int
) -> NDArray[np.float64]:
    """Find quantile bins of the classes that are reweighted.

    Args:
        blocks: training candidates in shuffled order; the first million is used.
        changed: labels of the classes that are reweighted.
        bins: wanted.
    """
    parts, held = [], 0
    for block in blocks:
        parts.append(block.spectrum[np.isin(block.labels, changed)])
        held += len(parts[-1])
        if held >= SAMPLE:
            break
    values = np.concatenate(parts) if parts else np.empty(0)
    return quantile_edges(values[:SAMPLE], bins) if len(values) else np.empty(0)


def fit(
    blocks: Iterable[Block],
    edges: NDArray[np.float64],
    *,
    classes: Sequence[str],
    to: Sequence[str],
) -> Spectrum:
    """Fit the factors that give each class the joint spectrum of the classes `to`.

    The factor of class c in bin b is (share of the target in b) / (share of c in b), scaled so
    that the class keeps its sum of weights. Classes in `to` stay as they are. In a bin without
    target the factor is zero.

    Raises:
        DataError: the sum of weights of a class is not positive, or is negative in a bin.
    """
    sums = np.zeros((len(classes), len(edges) + 1))
    for block in blocks:
        index = block.labels * sums.shape[1] + bin_of(block.spectrum, edges)
        sums += np.bincount(index, block.weights, minlength=sums.size).reshape(sums.shape)
    target = sums[[name in to for name in classes]].sum(axis=0)
    _check("the classes of reweight.to", target)
    factors = np.ones_like(sums)
    for label, name in enumerate(classes):
        if name not in to and np.any(sums[label]):
            _check(f"class {name!r}", sums[label])
            factors[label] = _factors(sums[label], target)
    return Spectrum(edges, factors)


def _factors(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    there = source > 0
    ratio = np.divide(target, source, out=np.zeros_like(source), where=there)
    reached = float(target[there].sum())
    if reached <= 0:
        raise DataError("reweight: a class and the target classes have no bin in common")
    return np.asarray(ratio * (source.sum() / reached))


def _check(what: str, sums: NDArray[np.float64]) -> None:
    if sums.sum() <= 0 or np.any(sums < 0):
        raise DataError(
            f"reweight: the sum of weights of {what} in the training split is not positive, or "
            "negative in a bin; take fewer bins, or look at the weights"
        )
