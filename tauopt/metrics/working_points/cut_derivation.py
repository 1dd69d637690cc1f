"""Derivation of cuts from a signal sample: weighted quantiles of the score in cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tauopt.metrics.roc import at_signal_efficiency
from tauopt.metrics.working_points.cut_maps import CutGrid

Floats = NDArray[np.float64]

NODES = 101
"""Number of efficiencies at which cuts are kept, beside the targets."""
FEWEST = 20.0
"""Fewest signal candidates (effective number) for a cut."""
_ROUNDS = 4
"""Corrections of the cuts for the interpolation inside a cell: each leaves about a third of the
deviation of an efficiency (in a strong trend 17, 4.4, 1.4, 0.5, 0.2 %)."""


def efficiency_nodes(targets: Sequence[float]) -> Floats:
    """Return efficiencies from 0 to 1, denser near both ends, with `targets` among them.

    Args:
        targets: efficiencies of working points.
    Returns:
        (node,) rising.
    Source:
        Chebyshev's points, (1 - cos(pi k / n)) / 2.
    """
    points = 0.5 * (1.0 - np.cos(np.pi * np.arange(NODES) / (NODES - 1)))
    return np.unique(np.concatenate([np.clip(points, 0.0, 1.0), np.asarray(targets, np.float64)]))


def effective_number(weights: Floats) -> float:
    """Return (sum w)^2 / sum w^2; 0 where the weights do not add up to more than zero."""
    total = float(weights.sum())
    return total**2 / float(np.sum(weights**2)) if total > 0.0 else 0.0


def cuts_at(score: Floats, weights: Floats, efficiencies: Floats) -> Floats:
    """Return the cuts on a score with given efficiencies: weighted quantiles.

    The k-th highest of n scores is the cut at efficiency k / (n + 1): on average this fraction of
    an independent sample passes it (Weibull's plotting position); with weights n is the effective
    number. Between neighbouring scores cuts are interpolated. With negative weights the efficiency
    need not rise as the cut falls, and several cuts may have the same efficiency: the mean of the
    tightest and the loosest is taken, as for rejections (see `roc.at_signal_efficiency`), since
    their biases are opposite. Cuts always fall as efficiencies rise.

    Args:
        score: (N,) at least one.
        weights: (N,) may be negative; their sum is positive.
        efficiencies: (A,) from 0 to 1.
    Returns:
        (A,) the scores that candidates must reach.
    Source:
        W. Weibull, Ingeniörsvetenskapsakademiens Handlingar 151 (1939).
    """
    order = np.lexsort((weights, -score))
    passed = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
    values = np.concatenate([score[order][:1], score[order]])
    corrected = np.minimum(efficiencies * (1.0 + 1.0 / effective_number(weights)), 1.0)
    return np.minimum.accumulate(at_signal_efficiency(passed, values, corrected))


def derive_grid(
    score: Floats,
    weights: Floats,
    values: Sequence[Floats],
    *,
    nodes: Floats,
    bins: int,
    fewest: float,
) -> CutGrid | None:
    """Derive the cuts at `nodes` in cells of equal statistics.

    Every quantity is binned in its quantiles, into as many bins as possible while each cell has
    `fewest` signal candidates. The cuts are then corrected until each cell as a whole has the right
    efficiency.

    Args:
        score: (N,) of signal candidates.
        weights: (N,) may be negative.
        values: (N,) for each quantity in which efficiencies shall be flat.
        nodes: (efficiency,) rising from 0 to 1.
        bins: most bins in each quantity.
        fewest: effective number of candidates in a cell; a single cell may have fewer.
    Returns:
        the grid; None if there are too few candidates for a single cut.
    """
    number = effective_number(weights)
    if number < FEWEST:
        return None
    edges, cell, numbers = _cells(weights, values, bins=bins, fewest=fewest)
    shape = numbers.shape
    rows = np.split(
        np.argsort(cell, kind="stable"), np.cumsum(np.bincount(cell, minlength=numbers.size))[:-1]
    )
    cuts = np.stack([cuts_at(score[row], weights[row], nodes) for row in rows], axis=1)
    centres = tuple(_centres(v, edge) for v, edge in zip(values, edges, strict=True))
    grid = CutGrid(centres, cuts.reshape(-1, *shape), numbers)
    # A cut that depends linearly on a quantity is wrong at first order in the outer half of the
    # outer bins, where the interpolated cut is constant: the efficiency that a node's cut really
    # has in a cell shows which node's cut to take there instead.
    for _ in range(_ROUNDS if numbers.size > 1 else 0):
        reached = grid.efficiency(score, values, nodes)
        flat = grid.cuts.reshape(len(nodes), -1)
        closed = [
            np.interp(-cuts_at(-reached[row], weights[row], nodes), nodes, flat[:, number])
            for number, row in enumerate(rows)
        ]
        cuts = np.minimum.accumulate(np.stack(closed, axis=1), axis=0)
        grid = CutGrid(centres, cuts.reshape(-1, *shape), numbers)
    return grid


def _cells(
    weights: Floats, values: Sequence[Floats], *, bins: int, fewest: float
) -> tuple[list[Floats], NDArray[np.intp], Floats]:
    """Return inner edges by quantity, cells of candidates, and effective numbers in cells."""
    per_axis = (max(effective_number(weights), 1.0) / fewest) ** (1.0 / max(len(values), 1))
    counts = [min(bins, max(1, int(np.ceil(per_axis))))] * len(values)
    while True:
        edges = [_edges(value, count) for value, count in zip(values, counts, strict=True)]
        shape = tuple(len(edge) + 1 for edge in edges)
        index = [np.searchsorted(e, v, side="right") for v, e in zip(values, edges, strict=True)]
        cell = np.zeros(len(weights), np.intp)
        for size, part in zip(shape, index, strict=True):
            cell = cell * size + part
        sums = np.bincount(cell, weights, minlength=int(np.prod(shape)))
        squares = np.bincount(cell, weights**2, minlength=len(sums))
        numbers = np.where(sums > 0, sums**2 / np.where(squares > 0, squares, 1.0), 0.0)
        if numbers.min() >= fewest or max(counts, default=1) == 1:
            return edges, cell, numbers.reshape(shape)
        widest = max(range(len(counts)), key=lambda axis: (counts[axis], axis))
        counts[widest] -= 1


def _edges(values: Floats, count: int) -> Floats:
    """Return the inner edges of at most `count` bins of equally many candidates."""
    edges = np.unique(np.quantile(values, np.arange(1, count) / count))
    return np.asarray(edges[(edges > values.min()) & (edges <= values.max())])


def _centres(values: Floats, edges: Floats) -> Floats:
    """Return the mean of the values in each bin."""
    index = np.searchsorted(edges, values, side="right")
    return np.asarray(np.bincount(index, values) / np.bincount(index))
