"""One working point, and which candidates pass several, some of which require others."""

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
        name: name in the experiment file.
        score: `signal_score` or `against_<class>`.
        requires: names of the working points that a candidate must pass too.
        most: prongs (`1p`, `3p`, or `all`) -> the largest flattened score that passes.
        kind: `efficiency` or `rejection`.
        target: prongs -> the signal efficiency or background rejection in the settings.
    """

    name: str
    score: str
    requires: tuple[str, ...]
    most: Mapping[str, float]
    kind: str
    target: Mapping[str, float]

    @property
    def key(self) -> str:
        """Name of its map of cuts: the score and the required working points."""
        return map_key(self.score, self.requires)


def map_key(score: str, requires: Sequence[str] = ()) -> str:
    """Return the name of the map of a score for candidates that pass other working points."""
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
        points: in any order; those that others require are among them.
        maps: cuts by `WorkingPoint.key`.
        score: (N,) `signal_score`.
        columns: spectators and other scores by name, (N,).
    Raises:
        DataError: a column is missing, or a value is not finite.
    """
    by_name = {point.name: point for point in points}
    flat: dict[str, NDArray[np.float32]] = {}
    passes: dict[str, Flags] = {}
    for name in required_first({point.name: point.requires for point in points}):
        point = by_name[name]
        if point.key not in flat:
            values = named_score(point.score, score, columns)
            flat[point.key] = maps[point.key].efficiency(values, columns).astype(np.float32)
        passes[name] = passes_cut(flat[point.key], point.most, columns)
        for other in point.requires:
            passes[name] &= passes[other]
    return {point.name: passes[point.name] for point in points}


def named_score(name: str, score: NDArray[Any], columns: CutVariables) -> NDArray[Any]:
    """Return a score by its name, (N,); `score` itself is `signal_score`.

    Raises:
        DataError: the columns lack it.
    """
    return score if name == SIGNAL_SCORE else column(columns, name)


def passes_cut(
    flat: NDArray[np.float32], most: Mapping[str, float], columns: CutVariables
) -> Flags:
    """Return which candidates pass a working point, without those that it requires, (N,) bool.

    Args:
        flat: (N,) flattened scores.
        most: prongs -> the largest flattened score that passes.
        columns: with `prongs`, unless `most` is for `all`.
    """
    passed = np.zeros(len(flat), np.bool_)
    for prongs, chosen in by_prongs(most, columns, len(flat)).items():
        passed |= chosen & (flat <= np.float32(most[prongs]))
    return passed


def required_first(requires: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names in topological order: each follows those that it requires.

    Raises:
        ValueError: the requirements form a circle, or a name is unknown.
    """
    done: dict[str, None] = {}

    def visit(name: str, waiting: tuple[str, ...]) -> None:
        if name in waiting:
            circle = (*waiting[waiting.index(name) :], name)
            raise ValueError(f"requires runs in a circle: {' -> '.join(circle)}")
        if name not in requires:
            raise ValueError(
                f"{waiting[-1]} requires the unknown working point {name}, "
                f"expected one of {', '.join(requires)}"
            )
        for other in requires[name] if name not in done else ():
            visit(other, (*waiting, name))
        done.setdefault(name)

    for name in requires:
        visit(name, ())
    return list(done)
