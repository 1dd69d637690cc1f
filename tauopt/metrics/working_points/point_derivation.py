"""Derivation of working points, each from candidates that pass those that it requires."""

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
    WorkingPointSpec,
)
from tauopt.errors import DataError
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import cut_variables
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
    map_key,
    named_score,
    passes_cut,
    required_first,
)

Flags = NDArray[np.bool_]

_FEWEST_PASSING = 10.0
"""Fewest background candidates (effective number) that pass a cut defined by its rejection."""


def derive_points(
    predictions: Predictions, settings: WorkingPointSettings
) -> tuple[tuple[WorkingPoint, ...], dict[str, CutMap], tuple[str, ...]]:
    """Return working points in the order of the settings, their maps of cuts, and notes.

    Raises:
        DataError: see `working_point_set.derive`.
    """
    if not predictions.has_background:
        raise DataError(
            "working points need background in the task; all its classes are signal: "
            f"{', '.join(predictions.classes)}"
        )
    derivation = _Derivation.begin(predictions, settings)
    derivation.map_of(SIGNAL_SCORE)
    for name in required_first({name: spec.requires for name, spec in settings.points.items()}):
        derivation.derive(name, settings.points[name])
    points = tuple(derivation.points[name] for name in settings.points)
    return points, derivation.maps, tuple(dict.fromkeys(derivation.notes))


@dataclass(frozen=True)
class _Derivation:
    """The sample, with the maps and working points derived from it so far."""

    predictions: Predictions
    columns: Mapping[str, NDArray[Any]]
    settings: WorkingPointSettings
    axes: tuple[str, ...]
    nodes: NDArray[np.float64]
    maps: dict[str, CutMap]
    points: dict[str, WorkingPoint]
    passed: dict[str, Flags]
    """Which candidates pass each working point and those that it requires, (N,)."""
    notes: list[str]

    @classmethod
    def begin(cls, predictions: Predictions, settings: WorkingPointSettings) -> _Derivation:
        """Check the sample and choose the nodes."""
        columns = cut_variables(predictions)
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

    def derive(self, name: str, spec: WorkingPointSpec) -> None:
        """Derive one working point, after those that it requires."""
        cuts, among = self.map_of(spec.score, spec.requires), self.among(spec.requires)
        score = named_score(spec.score, self.predictions.score, self.columns)
        flat = cuts.efficiency(score, self.columns).astype(np.float32)
        kind, target = "efficiency", spec.efficiency
        if spec.rejection:
            kind, target = "rejection", spec.rejection
        targets = {prongs: target.get(prongs, target.get(EVERY)) for prongs in cuts.grids}
        most = {prongs: at for prongs, at in targets.items() if at is not None}
        for prongs in sorted(set(cuts.grids) - set(most)):
            self.notes.append(
                f"{name}: the settings have no {kind} for {_prefix(prongs)}candidates: "
                "none of them pass"
            )
        if spec.rejection:
            most = {
                prongs: self.largest_score(name, flat, among, prongs=prongs, rejection=rejection)
                for prongs, rejection in most.items()
            }
        self.points[name] = WorkingPoint(
            name, spec.score, spec.requires, most=most, kind=kind, target=dict(target)
        )
        self.passed[name] = among & passes_cut(flat, most, self.columns)

    def among(self, requires: tuple[str, ...]) -> Flags:
        """Return which candidates pass all required working points, (N,)."""
        chosen = np.ones(len(self.predictions), np.bool_)
        for name in requires:
            chosen &= self.passed[name]
        return chosen

    def map_of(self, score: str, requires: tuple[str, ...] = ()) -> CutMap:
        """Return the map of a score for signal that passes the required points; derive it once.

        Raises:
            DataError: no number of prongs has enough signal for a cut.
        """
        key = map_key(score, requires)
        if key not in self.maps:
            chosen = self.predictions.is_signal & self.among(requires)
            grids = {
                prongs: grid
                for prongs, part in self.split_by_prongs(chosen).items()
                if (grid := self.grid(key, part, score=score, prongs=prongs)) is not None
            }
            if not grids:
                raise DataError(
                    f"working points need at least {FEWEST:g} signal candidates (effective number) "
                    f"with the same number of prongs for {key}; got {np.count_nonzero(chosen)} in "
                    "all: prepare a larger validation split"
                )
            self.maps[key] = CutMap(self.axes, self.nodes, grids)
        return self.maps[key]

    def split_by_prongs(self, chosen: Flags) -> dict[str, Flags]:
        """Split candidates by their number of prongs, where the sample has the column."""
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
                f"{key}: only {number:.0f} {_prefix(prongs)}signal candidates (effective number), "
                f"expected {FEWEST:g}: none of them pass"
            )
        elif self.axes and grid.numbers.size == 1:
            self.notes.append(
                f"{key}: only {number:.0f} {_prefix(prongs)}signal candidates (effective number), "
                f"expected {fewest} in each cell: one cut for all of them, not flat in "
                f"{' and '.join(self.axes)}"
            )
        return grid

    def largest_score(
        self, name: str, flat: NDArray[np.float32], among: Flags, *, prongs: str, rejection: float
    ) -> float:
        """Return the largest flattened score that passes at a background rejection."""
        of_prongs = by_prongs({prongs: None}, self.columns, len(flat))[prongs]
        chosen = ~self.predictions.is_signal & among & of_prongs
        weights = self.predictions.weights[chosen]
        number = effective_number(weights)
        if number < _FEWEST_PASSING * rejection:
            raise DataError(
                f"{name}: a rejection of {rejection:g} needs at least "
                f"{_FEWEST_PASSING * rejection:g} {_prefix(prongs)}background candidates "
                "(effective number)"
                f"{' that pass the required working points' * (not among.all())}; got "
                f"{number:.0f}: set a smaller rejection or prepare a larger validation split"
            )
        at = -cuts_at(-flat[chosen].astype(np.float64), weights, np.array([1.0 / rejection]))[0]
        # Below 1, which is also the score of candidates that fail every cut.
        return float(min(at, np.nextafter(np.float32(1), np.float32(0))))


def _prefix(prongs: str) -> str:
    """Return `1-prong ` for `1p`, and nothing for `all`."""
    return "" if prongs == EVERY else f"{prongs.removesuffix('p')}-prong "
