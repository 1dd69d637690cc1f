"""Working points: named cuts on the score, as a model carries them with it.

Every working point is one number for each number of prongs: the largest flattened score (see
`cut_maps`) that passes. Of a working point that is defined by its signal efficiency this number is
the efficiency itself; of one that is defined by its background rejection it is the efficiency, flat
as well, that has this rejection; without quantities to be flat in, it is one cut on the score.
A sequential working point has a map of its own, of signal that passes those that it requires.
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
from tauopt.metrics.working_points.working_point import WorkingPoint, in_order, map_key, passing

FILE = "working_points.json"
"""Name of the file that keeps the working points of a run or a version."""
VERSION = 1


@dataclass(frozen=True)
class WorkingPoints:
    """All working points of a model, and its flattened score: plain data.

    Attributes:
        points: in the order of the experiment file.
        maps: by `WorkingPoint.key`; always that of `signal_score` alone.
        notes: what was done otherwise than asked for, in words.
        settings: that they were derived with.
        origin: what they were derived from, for instance digests of model and dataset.
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
        """Return the signal efficiency at which each candidate would just pass.

        Args:
            score: (N,) the probability of being signal (`signal_score`).
            columns: spectators by name, each (N,): `pt`, `mu`, `prongs`; at least those of `needs`.
        Returns:
            (N,) float32 in [0, 1]; falls as the score rises at fixed pT, pile-up and prongs;
            uniform for signal. 1 where there are no cuts for that number of prongs. A working point
            of signal efficiency e passes what has at most e.
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
        """Return other working points with the same cuts: name -> signal efficiency."""
        cuts = self.maps[map_key(SIGNAL_SCORE)]
        points = []
        for name, at in efficiencies.items():
            of = dict.fromkeys(cuts.grids, at)
            points.append(WorkingPoint(name, SIGNAL_SCORE, (), of, "efficiency", of))
        return replace(self, points=tuple(points), maps={map_key(SIGNAL_SCORE): cuts})

    def as_json(self) -> dict[str, Any]:
        """Return all of it as values that JSON knows; `from_json` gives the same back."""
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
            CorruptError: it is something else, or not whole.
        """
        try:
            if content["version"] != VERSION:
                raise ValueError(f"expected version {VERSION}, got {content['version']!r}")
            found = cls(
                points=tuple(_point(name, plain) for name, plain in content["points"].items()),
                maps={str(key): map_from_json(cuts) for key, cuts in content["maps"].items()},
                notes=tuple(str(note) for note in content["notes"]),
                settings=dict(content["settings"]),
                origin=dict(content["origin"]),
            )
            found._check()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"these are no working points: {error!r}") from error
        return found

    def _check(self) -> None:
        in_order({point.name: point.requires for point in self.points})
        if missing := {SIGNAL_SCORE, *(point.key for point in self.points)} - set(self.maps):
            raise ValueError(f"the maps {sorted(missing)} are missing")


def derive(predictions: Predictions, settings: WorkingPointSettings) -> WorkingPoints:
    """Derive working points from the signal, and for rejections the background, of a sample.

    Args:
        predictions: on the validation split: not what the network was trained on.
        settings: the section `working_points` of the experiment file.
    Raises:
        DataError: the task has no background, a quantity to be flat in is no spectator, no number
            of prongs has signal enough for a cut, or a rejection is beyond the sample.
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
        requires=tuple(str(one) for one in plain["requires"]),
        most={str(prongs): float(most) for prongs, most in plain["passes_up_to"].items()},
        kind=kind,
        target={str(prongs): float(at) for prongs, at in plain[kind].items()},
    )
