"""Closure test: do working points have the wanted efficiency on an independent sample?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.working_point_settings import EVERY, FLAT_IN, SIGNAL_SCORE
from tauopt.metrics.binned_counts import (
    BinnedCounts,
    binned_efficiencies,
    binned_rejections,
    count_by_bin,
    effective_numbers,
    estimate_columns,
)
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import cut_variables
from tauopt.metrics.variable_axes import VariableAxis, choose_axis
from tauopt.metrics.working_points.cut_maps import by_prongs
from tauopt.metrics.working_points.working_point import WorkingPoint
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.physics.p_values import chi_square_tail

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Closure:
    """Closure of one working point in bins of one variable, or in a single bin.

    Attributes:
        wanted: the signal efficiency for which its cuts were derived, among candidates that pass
            the working points that it requires.
        efficiency, rejection: [bin] of signal and of background; None in a bin without any.
        chi_square: of the efficiencies against `wanted`, with the errors of both samples.
        freedom: degrees of freedom: bins that have signal.
    """

    wanted: float
    efficiency: list[Estimate | None]
    rejection: list[Estimate | None]
    chi_square: float
    freedom: int

    @property
    def p_value(self) -> float:
        """The probability of a chi-square at least as large if the cuts are right."""
        return chi_square_tail(self.chi_square, self.freedom)

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            "wanted": float(f"{self.wanted:.6g}"),
            "efficiency": estimate_columns(self.efficiency),
            "rejection": estimate_columns(self.rejection),
            "chi_square": float(f"{self.chi_square:.6g}"),
            "freedom": self.freedom,
            "p_value": float(f"{self.p_value:.6g}"),
        }


@dataclass(frozen=True)
class ProngClosure:
    """Closure of all working points for one number of prongs.

    Attributes:
        counts: signal and background candidates, unweighted.
        whole: working point -> its closure over all candidates.
        axes: the variables with their bins.
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
            "whole": {name: closed.as_json() for name, closed in self.whole.items()},
            "variables": {
                axis.name: {
                    "edges": axis.edges.tolist(),
                    "points": {
                        name: closed.as_json() for name, closed in self.bins[axis.name].items()
                    },
                }
                for axis in self.axes
            },
        }


def closure(
    points: WorkingPoints, predictions: Predictions, *, rng: np.random.Generator
) -> dict[str, ProngClosure]:
    """Measure working points on an independent sample, in bins of each variable.

    Args:
        points: working points of a model.
        predictions: of an independent sample, with the spectators that they need.
        rng: generator for the bootstraps of weighted candidates.
    Returns:
        closures by prongs (`1p`, `3p`, or `all`), for those that have cuts and signal here.
    Raises:
        DataError: a column is missing.
    """
    passed = points.passes(predictions.score, cut_variables(predictions))
    names = dict.fromkeys((*FLAT_IN, *points.maps[SIGNAL_SCORE].axes))
    closures = {}
    grids = points.maps[SIGNAL_SCORE].grids
    for prongs, chosen in by_prongs(grids, predictions.columns, len(predictions)).items():
        signal = predictions.is_signal & chosen
        if not predictions.weights[signal].sum() > 0:
            continue
        axes = _axes(predictions, tuple(names), signal)
        test = _ClosureTest(points, predictions, passed, chosen, rng)
        defined = [point for point in points.points if largest_passing(point, prongs) is not None]
        closures[prongs] = ProngClosure(
            counts=(int(signal.sum()), int(np.count_nonzero(chosen & ~predictions.is_signal))),
            whole={point.name: test.closed(point, prongs, None) for point in defined},
            axes=axes,
            bins={a.name: {p.name: test.closed(p, prongs, a) for p in defined} for a in axes},
        )
    return closures


def largest_passing(point: WorkingPoint, prongs: str) -> float | None:
    """Return the largest flattened score that passes for a number of prongs; None if none does."""
    return point.most.get(prongs, point.most.get(EVERY))


def _axes(
    predictions: Predictions, names: Sequence[str], signal: Flags
) -> tuple[VariableAxis, ...]:
    axes = [
        choose_axis(name, predictions.columns[name], among=signal, weights=predictions.weights)
        for name in names
        if name in predictions.columns
    ]
    return tuple(axis for axis in axes if axis is not None)


@dataclass(frozen=True)
class _ClosureTest:
    points: WorkingPoints
    predictions: Predictions
    passed: Mapping[str, Flags]
    chosen: Flags
    """Candidates of one number of prongs, (N,)."""
    rng: np.random.Generator

    def closed(self, point: WorkingPoint, prongs: str, axis: VariableAxis | None) -> Closure:
        """Return the closure of a working point in the bins of a variable; None is a single bin."""
        among = self.chosen.copy()
        for name in point.requires:
            among &= self.passed[name]
        signal, background = (
            self._counts(point, among & kind, axis)
            for kind in (self.predictions.is_signal, ~self.predictions.is_signal)
        )
        measured = [row[0] for row in binned_efficiencies(signal, rng=self.rng)]
        wanted = largest_passing(point, prongs) or 0.0  # flattened scores are signal efficiencies
        grids = self.points.maps[point.key].grids
        derived = float(grids[prongs].numbers.sum()) if prongs in grids else 0.0
        pulls = _pulls(measured, wanted, signal, derived=derived)
        return Closure(
            wanted=wanted,
            efficiency=measured,
            rejection=[row[0] for row in binned_rejections(background, rng=self.rng)],
            chi_square=float(np.sum(pulls**2)),
            freedom=len(pulls),
        )

    def _counts(
        self, point: WorkingPoint, chosen: Flags, axis: VariableAxis | None
    ) -> BinnedCounts:
        weights, passes = self.predictions.weights[chosen], self.passed[point.name][chosen][:, None]
        if axis is None:
            return count_by_bin(passes, weights)
        index = axis.index(self.predictions.columns[axis.name][chosen])
        kept = index >= 0
        return count_by_bin(passes[kept], weights[kept], index=index[kept], bins=axis.bins)


def _pulls(
    measured: Sequence[Estimate | None], wanted: float, signal: BinnedCounts, *, derived: float
) -> NDArray[np.float64]:
    """Return the pull of each bin with signal: measured less wanted efficiency, over its error.

    Args:
        measured: efficiency in each bin.
        wanted: efficiency in all of them.
        signal: the candidates on which it was measured.
        derived: effective number of signal candidates from which the cuts were derived.
    """
    total, tested = np.maximum(signal.signed.sum(axis=1), 0.0), effective_numbers(signal)
    # The error is binomial, from the tested sample and from the one of the derivation; a bin is
    # taken to hold the same fraction of both.
    deriving = derived * total / max(float(total.sum()), 1e-300)
    return np.array(
        [
            (bin_.value - wanted) / np.sqrt(wanted * (1 - wanted) * (1 / n_tested + 1 / n_deriving))
            for bin_, n_tested, n_deriving in zip(
                measured, tested.tolist(), deriving.tolist(), strict=True
            )
            if bin_ is not None and n_tested > 0 and n_deriving > 0
        ]
    )
