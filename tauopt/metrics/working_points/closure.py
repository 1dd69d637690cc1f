"""Whether working points do on an independent sample what they were derived for.

An efficiency has two errors: of the sample that it is measured on, and of the one that its cuts
were derived from. Both are binomial; the latter's effective number of candidates in a bin is taken
to be the same part of all that the bin has of the sample here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.working_point_settings import EVERY, FLAT_IN, SIGNAL_SCORE
from tauopt.metrics.binned_counts import (
    BinnedCounts,
    cells_of,
    columns_of,
    effective_numbers,
    efficiencies,
)
from tauopt.metrics.binned_counts import rejections as rejections_of
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import cut_on
from tauopt.metrics.variable_axes import VariableAxis, axis_of
from tauopt.metrics.working_points.cut_maps import by_prongs
from tauopt.metrics.working_points.working_point import WorkingPoint
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.physics.p_values import chi_square_tail

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Closure:
    """One working point in bins of one variable, or in a single bin of all.

    Attributes:
        wanted: the signal efficiency that its cuts were derived for; among candidates that pass
            what it requires.
        efficiency, rejection: [bin] of signal and of background; None where there is nothing.
        chi_square: of the efficiencies against `wanted`, with both errors.
        freedom: bins that have signal.
    """

    wanted: float
    efficiency: list[Estimate | None]
    rejection: list[Estimate | None]
    chi_square: float
    freedom: int

    @property
    def p_value(self) -> float:
        """The chance of a chi-square as large if the cuts are right."""
        return chi_square_tail(self.chi_square, self.freedom)

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            "wanted": float(f"{self.wanted:.6g}"),
            "efficiency": columns_of(self.efficiency),
            "rejection": columns_of(self.rejection),
            "chi_square": float(f"{self.chi_square:.6g}"),
            "freedom": self.freedom,
            "p_value": float(f"{self.p_value:.6g}"),
        }


@dataclass(frozen=True)
class ProngClosure:
    """All working points for one number of prongs.

    Attributes:
        counts: candidates of signal and of background.
        whole: working point -> its closure over all candidates.
        axes: variables.
        bins: name of the variable -> working point -> its closure in bins.
    """

    counts: tuple[int, int]
    whole: Mapping[str, Closure]
    axes: tuple[VariableAxis, ...]
    bins: Mapping[str, Mapping[str, Closure]]

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            "signal": self.counts[0],
            "background": self.counts[1],
            "whole": {name: one.as_json() for name, one in self.whole.items()},
            "variables": {
                axis.name: {
                    "edges": axis.edges.tolist(),
                    "points": {name: one.as_json() for name, one in self.bins[axis.name].items()},
                }
                for axis in self.axes
            },
        }


def closure(
    points: WorkingPoints, predictions: Predictions, *, rng: np.random.Generator
) -> dict[str, ProngClosure]:
    """Measure working points on a sample that they were not derived from.

    Args:
        points: derived.
        predictions: of an independent sample, with the spectators that they need.
        rng: of the bootstraps of weighted candidates.
    Returns:
        by prongs (`1p`, `3p`, or `all`), those that have cuts and signal here.
    Raises:
        DataError: a column is missing.
    """
    passed = points.passes(predictions.score, cut_on(predictions))
    names = dict.fromkeys((*FLAT_IN, *points.maps[SIGNAL_SCORE].axes))
    found = {}
    grids = points.maps[SIGNAL_SCORE].grids
    for prongs, chosen in by_prongs(grids, predictions.columns, len(predictions)).items():
        signal = predictions.is_signal & chosen
        if not predictions.weights[signal].sum() > 0:
            continue
        axes = _axes(predictions, tuple(names), signal)
        work = _Measuring(points, predictions, passed, chosen, rng)
        known = [point for point in points.points if known_for(point, prongs) is not None]
        found[prongs] = ProngClosure(
            counts=(int(signal.sum()), int(np.count_nonzero(chosen & ~predictions.is_signal))),
            whole={point.name: work.closed(point, prongs, None) for point in known},
            axes=axes,
            bins={a.name: {p.name: work.closed(p, prongs, a) for p in known} for a in axes},
        )
    return found


def known_for(point: WorkingPoint, prongs: str) -> float | None:
    """Return the largest flattened score that passes for a number of prongs; None if none does."""
    return point.most.get(prongs, point.most.get(EVERY))


def _axes(
    predictions: Predictions, names: Sequence[str], signal: Flags
) -> tuple[VariableAxis, ...]:
    found = [
        axis_of(name, predictions.columns[name], of=signal, weights=predictions.weights)
        for name in names
        if name in predictions.columns
    ]
    return tuple(axis for axis in found if axis is not None)


@dataclass(frozen=True)
class _Measuring:
    points: WorkingPoints
    predictions: Predictions
    passed: Mapping[str, Flags]
    chosen: Flags
    """Candidates of the number of prongs, (N,)."""
    rng: np.random.Generator

    def closed(self, point: WorkingPoint, prongs: str, axis: VariableAxis | None) -> Closure:
        """Return the closure of a working point in the bins of a variable, or of all in one."""
        among = self.chosen.copy()
        for name in point.requires:
            among &= self.passed[name]
        signal, background = (
            self._cells(point, among & kind, axis)
            for kind in (self.predictions.is_signal, ~self.predictions.is_signal)
        )
        measured = [row[0] for row in efficiencies(signal, rng=self.rng)]
        wanted = known_for(point, prongs) or 0.0
        grids = self.points.maps[point.key].grids
        derived = float(grids[prongs].numbers.sum()) if prongs in grids else 0.0
        pulls = _pulls(measured, wanted, signal, derived=derived)
        return Closure(
            wanted=wanted,
            efficiency=measured,
            rejection=[row[0] for row in rejections_of(background, rng=self.rng)],
            chi_square=float(np.sum(pulls**2)),
            freedom=len(pulls),
        )

    def _cells(self, point: WorkingPoint, of: Flags, axis: VariableAxis | None) -> BinnedCounts:
        weights, passes = self.predictions.weights[of], self.passed[point.name][of][:, None]
        if axis is None:
            return cells_of(passes, weights)
        index = axis.index(self.predictions.columns[axis.name][of])
        kept = index >= 0
        return cells_of(passes[kept], weights[kept], index=index[kept], bins=axis.bins)


def _pulls(
    measured: Sequence[Estimate | None], wanted: float, signal: BinnedCounts, *, derived: float
) -> NDArray[np.float64]:
    """Return how many standard deviations each bin with signal is off (see the module).

    Args:
        measured: efficiency in each bin.
        wanted: in all of them.
        signal: that it was measured on.
        derived: effective number of signal candidates that the cuts were derived from.
    """
    total, here = np.maximum(signal.signed.sum(axis=1), 0.0), effective_numbers(signal)
    there = derived * total / max(float(total.sum()), 1e-300)
    return np.array(
        [
            (one.value - wanted) / np.sqrt(wanted * (1 - wanted) * (1 / h + 1 / t))
            for one, h, t in zip(measured, here.tolist(), there.tolist(), strict=True)
            if one is not None and h > 0 and t > 0
        ]
    )
