"""Derives working points one after another, each among candidates that pass what it requires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.working_point_settings import (
    EVERY,
    FLAT_IN,
    SIGNAL_SCORE,
    WorkingPointSettings,
)
from tauopt.config.settings.working_point_settings import WorkingPointSpec as Wanted
from tauopt.errors import DataError
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import cut_on
from tauopt.metrics.working_points.cut_derivation import (
    FEWEST,
    cuts_at,
    derive_grid,
    effective_number,
    efficiency_nodes,
)
from tauopt.metrics.working_points.cut_maps import (
    PRONGS,
    CutGrid,
    CutMap,
    by_prongs,
    column,
    finite,
)
from tauopt.metrics.working_points.working_point import (
    WorkingPoint,
    below,
    in_order,
    map_key,
    named_score,
)

Flags = NDArray[np.bool_]

_FEWEST_PASSING = 10.0
"""Background candidates (effective number) that must pass a cut that is set by its rejection."""


def derive_points(
    predictions: Predictions, settings: WorkingPointSettings
) -> tuple[tuple[WorkingPoint, ...], dict[str, CutMap], tuple[str, ...]]:
    """Return working points in the order of the settings, their maps, and notes.

    Raises:
        DataError: see `working_points.derive`.
    """
    if not predictions.has_background:
        raise DataError("working points need background in the task; all its classes are signal")
    work = _Work.of(predictions, settings)
    work.map_of(SIGNAL_SCORE)
    for name in in_order({name: point.requires for name, point in settings.points.items()}):
        work.derive(name, settings.points[name])
    points = tuple(work.points[name] for name in settings.points)
    return points, work.maps, tuple(dict.fromkeys(work.notes))


@dataclass(frozen=True)
class _Work:
    """The sample, and what has been derived from it so far."""

    predictions: Predictions
    columns: Mapping[str, NDArray[Any]]
    settings: WorkingPointSettings
    axes: tuple[str, ...]
    nodes: NDArray[np.float64]
    maps: dict[str, CutMap]
    points: dict[str, WorkingPoint]
    passed: dict[str, Flags]
    """Who passes each working point, all that it requires too, (N,)."""
    notes: list[str]

    @classmethod
    def of(cls, predictions: Predictions, settings: WorkingPointSettings) -> _Work:
        columns = cut_on(predictions)
        axes = settings.flat_in
        if axes is None:
            axes = tuple(name for name in FLAT_IN if name in columns)
        for name in axes:
            finite(name, column(columns, name), len(predictions))
        finite("the weight", predictions.weights, len(predictions))
        finite("the score", predictions.score, len(predictions))
        targets = [at for point in settings.points.values() for at in point.efficiency.values()]
        nodes = efficiency_nodes(targets)
        return cls(predictions, columns, settings, axes, nodes, {}, {}, {}, [])

    def derive(self, name: str, wanted: Wanted) -> None:
        """Derive one working point; those that it requires are there."""
        cuts, among = self.map_of(wanted.score, wanted.requires), self.among(wanted.requires)
        score = named_score(wanted.score, self.predictions.score, self.columns)
        flat = cuts.efficiency(score, self.columns).astype(np.float32)
        kind, target = "efficiency", wanted.efficiency
        if wanted.rejection:
            kind, target = "rejection", wanted.rejection
        asked = {prongs: target.get(prongs, target.get(EVERY)) for prongs in cuts.grids}
        known = {prongs: at for prongs, at in asked.items() if at is not None}
        for prongs in sorted(set(cuts.grids) - set(known)):
            self.notes.append(f"{name}: nothing is asked for {_told(prongs)}: none of them pass")
        if wanted.rejection:
            known = {p: self.rejecting(name, flat, among, (p, at)) for p, at in known.items()}
        self.points[name] = WorkingPoint(
            name, wanted.score, wanted.requires, most=known, kind=kind, target=dict(target)
        )
        self.passed[name] = among & below(flat, known, self.columns)

    def among(self, requires: tuple[str, ...]) -> Flags:
        """Return who passes all of some working points, (N,)."""
        chosen = np.ones(len(self.predictions), np.bool_)
        for name in requires:
            chosen &= self.passed[name]
        return chosen

    def map_of(self, score: str, requires: tuple[str, ...] = ()) -> CutMap:
        """Return the map of a score among signal that passes others; derived when first asked.

        Raises:
            DataError: no number of prongs has signal enough for a cut.
        """
        key = map_key(score, requires)
        if key not in self.maps:
            chosen = self.predictions.is_signal & self.among(requires)
            grids = {
                prongs: grid
                for prongs, part in self.kinds(chosen).items()
                if (grid := self.grid(key, part, score=score, prongs=prongs)) is not None
            }
            if not grids:
                raise DataError(
                    f"working points need at least {FEWEST:g} signal candidates (effective number) "
                    f"of some number of prongs for {key}; got {np.count_nonzero(chosen)} in all"
                )
            self.maps[key] = CutMap(self.axes, self.nodes, grids)
        return self.maps[key]

    def kinds(self, chosen: Flags) -> dict[str, Flags]:
        """Split candidates by their number of prongs, where the sample knows it."""
        if PRONGS not in self.columns:
            return {EVERY: chosen}
        numbers = np.unique(self.columns[PRONGS][chosen])
        keys = {f"{int(number)}p": None for number in numbers if 0 <= number < 10}
        return {
            key: part & chosen for key, part in by_prongs(keys, self.columns, len(chosen)).items()
        }

    def grid(self, key: str, part: Flags, *, score: str, prongs: str) -> CutGrid | None:
        """Derive the cuts for one number of prongs, and note where statistics are poor."""
        values = named_score(score, self.predictions.score, self.columns)
        weights, fewest = self.predictions.weights[part], self.settings.min_candidates
        grid = derive_grid(
            np.asarray(values[part], np.float64),
            weights,
            [np.asarray(self.columns[name][part], np.float64) for name in self.axes],
            nodes=self.nodes,
            bins=self.settings.bins,
            fewest=fewest,
        )
        number = effective_number(weights)
        if grid is None:
            self.notes.append(
                f"{key}: only {number:.0f} signal candidates are {_told(prongs)}, expected "
                f"{FEWEST:g}: none of them pass"
            )
        elif self.axes and grid.numbers.size == 1:
            self.notes.append(
                f"{key}: only {number:.0f} signal candidates are {_told(prongs)}, expected "
                f"{fewest} in each cell: one cut for all of them, not flat in "
                f"{' and '.join(self.axes)}"
            )
        return grid

    def rejecting(
        self, name: str, flat: NDArray[np.float32], among: Flags, wanted: tuple[str, float]
    ) -> float:
        """Return the flattened score up to which one background candidate in so many passes."""
        prongs, rejection = wanted
        of_prongs = by_prongs({prongs: None}, self.columns, len(flat))[prongs]
        chosen = ~self.predictions.is_signal & among & of_prongs
        weights = self.predictions.weights[chosen]
        number = effective_number(weights)
        if number < _FEWEST_PASSING * rejection:
            raise DataError(
                f"{name}: a rejection of {rejection:g} needs at least "
                f"{_FEWEST_PASSING * rejection:g} background candidates (effective number) that "
                f"are {_told(prongs)}{' and pass what is required' * (not among.all())}; got "
                f"{number:.0f}"
            )
        at = -cuts_at(-flat[chosen].astype(np.float64), weights, np.array([1.0 / rejection]))[0]
        return float(min(at, np.nextafter(np.float32(1), np.float32(0))))


def _told(prongs: str) -> str:
    return "candidates" if prongs == EVERY else f"{prongs.removesuffix('p')}-prong"
