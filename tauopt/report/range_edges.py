"""Ranges that the best trials of a search hit at an end: there the space may be too narrow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange, Range
from tauopt.config.source.yaml_source import Scalar
from tauopt.study.leaderboard_rows import LeaderboardRow

BEST = 5
"""Number of the best trials that are looked at."""
_AT_LEAST = 3
_CHANCE = 0.05
"""Largest probability that as many random points lie at the end of a range."""
_MARGIN = 0.05
"""Part of a range that counts as its end; log-scaled where the range is."""
_ENDS: tuple[Literal["lower", "upper"], ...] = ("lower", "upper")


@dataclass(frozen=True)
class RangeEdge:
    """A range of which several of the best trials lie at one end."""

    path: str
    end: Literal["lower", "upper"]
    limit: int | float
    """Value of the range at this end."""
    count: int
    best: int
    """Number of the best trials in which the range is active."""

    def __str__(self) -> str:
        return (
            f"{self.count} of the best {self.best} trials have {self.path} at its {self.end} end "
            f"{self.limit:g}: widen it"
        )


def range_edges(rows: Sequence[LeaderboardRow], space: Mapping[str, Range]) -> list[RangeEdge]:
    """Return the ranges that the best trials hit at an end more often than random points would.

    Ends at 0, a lower end of 1 of whole numbers and an upper end of 1 of fractions are left out:
    there the setting itself ends.

    Args:
        rows: leaderboard, best first; trials that did not complete are not looked at.
        space: path -> range.
    Returns:
        the edges, that of most trials first, otherwise in the order of the space.
    """
    best = [row.params for row in rows if row.rank][:BEST]
    edges = [edge for path, range_ in space.items() for edge in _edges_of(path, range_, best)]
    return sorted(edges, key=lambda edge: -edge.count / edge.best)


def _edges_of(
    path: str, range_: Range, best: Iterable[Mapping[str, Scalar]]
) -> Iterator[RangeEdge]:
    if isinstance(range_, ChoiceRange) or range_.low == range_.high:
        return
    positions = [_position(range_, float(point[path])) for point in best if path in point]
    for end in _ENDS:
        limit = range_.low if end == "lower" else range_.high
        at_end = [p <= _MARGIN if end == "lower" else p >= 1 - _MARGIN for p in positions]
        count = sum(at_end)
        if count < _AT_LEAST or _is_last(range_, end):
            continue
        if _at_least(count, len(positions), _part_at_end(range_, end)) < _CHANCE:
            yield RangeEdge(path, end, limit, count, len(positions))


def _position(range_: IntRange | FloatRange, value: float) -> float:
    """Return where a value lies in its range: 0 at the lower end, 1 at the upper one."""
    low, high = _scaled(range_, range_.low), _scaled(range_, range_.high)
    return (_scaled(range_, value) - low) / (high - low)


def _scaled(range_: IntRange | FloatRange, value: float) -> float:
    return math.log(value) if range_.log else value


def _is_last(range_: IntRange | FloatRange, end: str) -> bool:
    """Return whether a range can't be widened at an end, as the setting has no values beyond."""
    if end == "lower":
        return range_.low == 0 or (isinstance(range_, IntRange) and range_.low == 1)
    return isinstance(range_, FloatRange) and range_.high == 1


def _part_at_end(range_: IntRange | FloatRange, end: str) -> float:
    """Return the probability that a random point lies at an end."""
    if range_.step is None:
        return _MARGIN
    half = range_.step / 2
    low, high = _scaled(range_, range_.low - half), _scaled(range_, range_.high + half)
    inner = (
        _scaled(range_, range_.low + half) - low
        if end == "lower"
        else high - _scaled(range_, range_.high - half)
    )
    return max(_MARGIN, inner / (high - low))


def _at_least(count: int, trials: int, probability: float) -> float:
    """Return the binomial probability of at least `count` of `trials`."""
    return sum(
        math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k)
        for k in range(count, trials + 1)
    )
