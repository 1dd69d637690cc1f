"""Working points of a model: named cuts on its score, kept beside it as a file.

A working point is, for each number of prongs, the largest flattened score (see `cut_maps`) that
passes. For one defined by its signal efficiency this is the efficiency; for one defined by its
background rejection it is the efficiency, flat too, that has this rejection. Without quantities to
be flat in, it is one cut on the score. A sequential working point has a map of its own, derived
from signal that passes the working points that it requires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.working_point_settings import SIGNAL_SCORE, WorkingPointSettings
from tauopt.errors import CorruptError
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.working_points.cut_maps import CutMap, CutVariables, map_from_json, map_to_json
from tauopt.metrics.working_points.point_derivation import derive_points
from tauopt.metrics.working_points.working_point import (
    WorkingPoint,
    map_key,
    passing,
    required_first,
)

FILE = "working_points.json"
"""Name of the file with the working points of a run or a version."""
VERSION = 1


@dataclass(frozen=True)
class WorkingPoints:
    """All working points of a model, with the cuts of its flattened score.

    Attributes:
        points: in the order of the experiment file.
        maps: cuts by `WorkingPoint.key`; that of `signal_score` alone is always among them.
        notes: sentences about where the derivation deviates from the settings.
        settings: the settings of the derivation.
        origin: the source of the derivation, for instance digests of model and dataset.
    """

    points: tuple[WorkingPoint, ...]
    maps: Mapping[str, CutMap]
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the working points, in the order of the experiment file."""
        return tuple(point.name for point in self.points)

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that `passes` reads beside the score: spectators, and scores `against_...`."""
        spectators = (name for cuts in self.maps.values() for name in cuts.needs)
        scores = (point.score for point in self.points if point.score != SIGNAL_SCORE)
        return tuple(dict.fromkeys((*spectators, *scores)))

    def flattened(self, score: NDArray[Any], columns: CutVariables) -> NDArray[np.float32]:
        """Return the flattened score: the signal efficiency of the cut each candidate just passes.

        Args:
            score: (N,) the probability of being signal (`signal_score`).
            columns: spectators by name, each (N,): `pt`, `mu`, `prongs`; at least those of `needs`.
        Returns:
            (N,) float32 in [0, 1]; falls as the score rises at fixed pT, pile-up and prongs;
            uniform for signal. 1 where there are no cuts for that number of prongs. Candidates with
            at most e pass the working point of signal efficiency e.
        Raises:
            DataError: a column is missing, or a value is not finite.
        """
        return self.maps[map_key(SIGNAL_SCORE)].efficiency(score, columns).astype(np.float32)

    def passes(self, score: NDArray[Any], columns: CutVariables) -> dict[str, NDArray[np.bool_]]:
        """Return which candidates pass each working point, (N,) bool by name.

        Args:
            score: (N,) the probability of being signal (`signal_score`).
            columns: spectators, and scores `against_<class>` that working points cut on, by name,
                each (N,); at least those of `needs`.
        Raises:
            DataError: a column is missing, or a value is not finite.
        """
        return passing(self.points, self.maps, score=score, columns=columns)

    def at_efficiencies(self, efficiencies: Mapping[str, float]) -> WorkingPoints:
        """Return working points with other signal efficiencies, by name, of the same cuts."""
        cuts = self.maps[map_key(SIGNAL_SCORE)]
        points = []
        for name, at in efficiencies.items():
            most = dict.fromkeys(cuts.grids, at)
            points.append(WorkingPoint(name, SIGNAL_SCORE, (), most, "efficiency", most))
        return replace(self, points=tuple(points), maps={map_key(SIGNAL_SCORE): cuts})

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values, from which `from_json` restores the same."""
        return {
            "version": VERSION,
            "points": {
                point.name: {
                    "score": point.score,
                    "requires": list(point.requires),
                    point.kind: dict(point.target),
                    "passes_up_to": dict(point.most),
                }
                for point in self.points
            },
            "maps": {key: map_to_json(cuts) for key, cuts in self.maps.items()},
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "origin": dict(self.origin),
        }

    @classmethod
    def from_json(cls, content: Any) -> WorkingPoints:
        """Return the working points that `as_json` wrote.

        Raises:
            CorruptError: the content has another version or format, or is incomplete.
        """
        try:
            if content["version"] != VERSION:
                raise ValueError(f"expected version {VERSION}, got {content['version']!r}")
            restored = cls(
                points=tuple(_point(name, plain) for name, plain in content["points"].items()),
                maps={str(key): map_from_json(cuts) for key, cuts in content["maps"].items()},
                notes=tuple(str(note) for note in content["notes"]),
                settings=dict(content["settings"]),
                origin=dict(content["origin"]),
            )
            restored._check()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"the content does not hold working points: {error!r}") from error
        return restored

    def _check(self) -> None:
        required_first({point.name: point.requires for point in self.points})
        if missing := {SIGNAL_SCORE, *(point.key for point in self.points)} - set(self.maps):
            raise ValueError(f"the maps {sorted(missing)} are missing")


def derive(predictions: Predictions, settings: WorkingPointSettings) -> WorkingPoints:
    """Derive working points from the signal of a sample; rejections also from its background.

    Args:
        predictions: on the validation split, on which the network was not trained.
        settings: the section `working_points` of the experiment file.
    Raises:
        DataError: the task has no background, a quantity to be flat in is no spectator, no number
            of prongs has enough signal for a cut, or the sample is too small for a rejection.
    """
    points, maps, notes = derive_points(predictions, settings)
    signal = int(np.count_nonzero(predictions.is_signal))
    counts = {"signal": signal, "background": len(predictions) - signal}
    return WorkingPoints(points, maps, notes, settings.model_dump(mode="json"), counts)


def _point(name: str, plain: Mapping[str, Any]) -> WorkingPoint:
    kind = "efficiency" if "efficiency" in plain else "rejection"
    return WorkingPoint(
        name=str(name),
        score=str(plain["score"]),
        requires=tuple(str(required) for required in plain["requires"]),
        most={str(prongs): float(most) for prongs, most in plain["passes_up_to"].items()},
        kind=kind,
        target={str(prongs): float(at) for prongs, at in plain[kind].items()},
    )
