"""Checks of working points against the task, the dataset's spectators and each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tauopt.config.settings.working_point_settings import (
    AGAINST,
    EVERY,
    SIGNAL_SCORE,
    standard_points,
)
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, describe
from tauopt.errors import Problem, nearest

_SECTION = "working_points"


def check_working_points(
    root: Node, *, background: Sequence[str] | None, spectators: Sequence[str] | None
) -> Iterator[Problem]:
    """Check the section `working_points` of an experiment, if the file has one.

    Args:
        root: the experiment's tree; parts of a wrong type are ignored.
        background: task classes that are not signal; None if the task is invalid.
        spectators: names of the dataset's spectators; None if the dataset is invalid.
    """
    section = root.entries.get(_SECTION)
    if section is None:
        return
    if background is not None and not background:
        place = root.keys.get(_SECTION, section.place)
        yield place.problem(
            f"{_SECTION}: working points need background, and all task classes are signal; "
            "leave the section out"
        )
        return
    if spectators is not None:
        yield from _flat_in(section, spectators)
    points = section.entries.get("points") or Node({}, section.place)
    for name, point in points.entries.items():
        path = f"{_SECTION}.points.{name}"
        if background is not None:
            yield from _score(point, background, path)
        if spectators is not None and "prongs" not in spectators:
            yield from _prongs(point, path)
        yield from _required(name, point, points, path)


def _flat_in(section: Node, spectators: Sequence[str]) -> Iterator[Problem]:
    node = section.entries.get("flat_in")
    seen: set[str] = set()
    for item in _texts(node):
        name = str(item.value)
        if name not in spectators:
            yield item.place.problem(
                f"{_SECTION}.flat_in: unknown spectator {name!r}{nearest(name, spectators)}; "
                f"the dataset has {', '.join(spectators) or 'none'}"
            )
        elif name in seen:
            yield item.place.problem(f"{_SECTION}.flat_in: {name!r} appears twice")
        seen.add(name)


def _score(point: Node, background: Sequence[str], path: str) -> Iterator[Problem]:
    score = point.entries.get("score")
    if score is None or not isinstance(score.value, str):
        return
    against = [AGAINST + name for name in background] if len(background) > 1 else []
    known = [SIGNAL_SCORE, *against]
    if score.value not in known:
        yield score.place.problem(
            f"{path}.score: expected one of {', '.join(known)}, got {describe(score.value)}"
            f"{nearest(score.value, known)}"
        )


def _prongs(point: Node, path: str) -> Iterator[Problem]:
    for kind in ("efficiency", "rejection"):
        numbers = point.entries.get(kind)
        if numbers is not None and set(numbers.entries) - {EVERY}:
            yield numbers.place.problem(
                f"{path}.{kind}: a number for each number of prongs needs the dataset's spectator "
                "`prongs`, which is missing"
            )


def _required(name: str, point: Node, points: Node, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for item in _texts(point.entries.get("requires")):
        other = str(item.value)
        if other not in points.entries:
            hint = f"; add the standard working point {other} here, as {other}: {{}}"
            yield item.place.problem(
                f"{path}.requires: there is no working point {other!r}"
                f"{nearest(other, points.entries)}{hint if other in standard_points() else ''}"
            )
        elif other in seen:
            yield item.place.problem(f"{path}.requires: {other!r} appears twice")
        elif circle := _circle(name, other, points):
            yield item.place.problem(f"{path}.requires: it is circular: {circle}")
        seen.add(other)


def _circle(name: str, first: str, points: Node) -> str:
    """Return the chain of `requires` from `name` by `first` back to `name`; empty if none."""
    chains: list[tuple[str, ...]] = [(name, first)]
    visited = {first}
    while chains:
        chain = chains.pop()
        if chain[-1] == name:
            return " -> ".join(chain)
        for item in _texts(tree.get(points, (chain[-1], "requires"))):
            other = str(item.value)
            if other == name or other not in visited:
                visited.add(other)
                chains.append((*chain, other))
    return ""


def _texts(node: Node | None) -> list[Node]:
    items = node.value if node is not None and isinstance(node.value, tuple) else ()
    return [item for item in items if isinstance(item.value, str)]
