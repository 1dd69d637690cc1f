"""One working point, and which candidates pass several of which some require others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.working_point_settings import SIGNAL_SCORE
from tauopt.metrics.working_points.cut_maps import CutMap, CutVariables, by_prongs, column

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class WorkingPoint:
    """One working point.

    Attributes:
        name: of it.
        score: `signal_score` or `against_<class>`.
        requires: working points that a candidate passes first.
        most: prongs (`1p`, `3p`, or `all`) -> the largest flattened score that passes.
        kind: `efficiency` or `rejection`.
        target: the number of that kind that was asked for, by prongs.
    """

    name: str
    score: str
    requires: tuple[str, ...]
    most: Mapping[str, float]
    kind: str
    target: Mapping[str, float]

    @property
    def key(self) -> str:
        """Name of its map: the score, and what is required."""
        return map_key(self.score, self.requires)


def map_key(score: str, requires: Sequence[str] = ()) -> str:
    """Return the name of the map of a score among candidates that pass other working points."""
    return "+".join((score, *sorted(requires)))


def passing(
    points: Sequence[WorkingPoint],
    maps: Mapping[str, CutMap],
    *,
    score: NDArray[Any],
    columns: CutVariables,
) -> dict[str, Flags]:
    """Return which candidates pass each working point, (N,) bool by name.

    Args:
        points: in any order; all that are required are among them.
        maps: by `WorkingPoint.key`.
        score: (N,) `signal_score`.
        columns: spectators and other scores by name, (N,).
    Raises:
        DataError: a column is missing, or a value is not finite.
    """
    by_name = {point.name: point for point in points}
    flat: dict[str, NDArray[np.float32]] = {}
    found: dict[str, Flags] = {}
    for name in in_order({point.name: point.requires for point in points}):
        point = by_name[name]
        if point.key not in flat:
            values = named_score(point.score, score, columns)
            flat[point.key] = maps[point.key].efficiency(values, columns).astype(np.float32)
        found[name] = below(flat[point.key], point.most, columns)
        for other in point.requires:
            found[name] &= found[other]
    return {point.name: found[point.name] for point in points}


def named_score(name: str, score: NDArray[Any], columns: CutVariables) -> NDArray[Any]:
    """Return a score by its name; `score` itself is `signal_score`.

    Raises:
        DataError: it is not there.
    """
    return score if name == SIGNAL_SCORE else column(columns, name)


def below(flat: NDArray[np.float32], most: Mapping[str, float], columns: CutVariables) -> Flags:
    """Return which flattened scores, (N,), are at most what their number of prongs may have."""
    passed = np.zeros(len(flat), np.bool_)
    for prongs, chosen in by_prongs(most, columns, len(flat)).items():
        passed |= chosen & (flat <= np.float32(most[prongs]))
    return passed


def in_order(requires: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names so that each follows those it requires.

    Raises:
        ValueError: it runs in a circle, or a name is unknown.
    """
    done: dict[str, None] = {}

    def visit(name: str, waiting: tuple[str, ...]) -> None:
        if name in waiting:
            circle = (*waiting[waiting.index(name) :], name)
            raise ValueError(f"requires runs in a circle: {' -> '.join(circle)}")
        if name not in requires:
            raise ValueError(f"{waiting[-1]} requires {name}, which is not there")
        for other in requires[name] if name not in done else ():
            visit(other, (*waiting, name))
        done.setdefault(name)

    for name in requires:
        visit(name, ())
    return list(done)
