"""Reads a range from the place where a value would stand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange, Range, same
from tauopt.config.source.tree import KINDS
from tauopt.config.source.yaml_source import Node, Place, describe
from tauopt.errors import Problem, nearest

MAX_CHOICES = 200
MAX_CONDITIONS = 10


@dataclass(frozen=True)
class Draft:
    """A range as it stands in a file, its conditions not yet looked up."""

    path: tuple[str, ...]
    range: Range
    place: Place
    when: Mapping[str, tuple[Node, ...]]
    """Path of a setting -> its values, as written."""
    when_places: Mapping[str, Place]

    @property
    def name(self) -> str:
        """The path as users write it."""
        return ".".join(self.path)


class _Reader:
    """Collects the problems of one range."""

    def __init__(self, node: Node, path: tuple[str, ...]) -> None:
        self.node, self.path, self.name = node, path, ".".join(path)
        self.problems: list[Problem] = []

    def wrong(self, node: Node, message: str) -> None:
        self.problems.append(node.place.problem(f"{self.name}: {message}"))

    def kind(self) -> str | None:
        kinds = [kind for kind in KINDS if kind in self.node.entries]
        if len(kinds) > 1:
            self.wrong(self.node, f"a range has one kind, got {' and '.join(kinds)}")
            return None
        allowed = (kinds[0], "when") if kinds[0] == "choice" else (kinds[0], "log", "step", "when")
        for key in self.node.entries:
            if key not in allowed:
                place = self.node.keys.get(key, self.node.place)
                takes = f"a range of kind {kinds[0]} takes {', '.join(allowed[1:])}"
                message = f"{self.name}: {takes}, got {key!r}{nearest(key, allowed)}"
                self.problems.append(place.problem(message))
        return kinds[0]

    def flag(self) -> bool:
        log = self.node.entries.get("log")
        if log is not None and not isinstance(log.value, bool):
            self.wrong(log, f"log: expected true or false, got {describe(log.plain())}")
        return log is not None and log.value is True

    def number(self, node: Node, what: str, *, whole: bool) -> float | None:
        value = node.value
        expected = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            self.wrong(node, f"{what}: expected {expected}, got {describe(node.plain())}")
            return None
        if whole and not isinstance(value, int):
            self.wrong(node, f"{what}: expected {expected}, got {describe(value)}")
            return None
        return value

    def ends(self, kind: str) -> tuple[float, float] | None:
        node = self.node.entries[kind]
        if not isinstance(node.value, tuple) or len(node.value) != 2:
            self.wrong(node, f"{kind}: expected [low, high], got {describe(node.plain())}")
            return None
        low, high = (self.number(end, kind, whole=kind == "int") for end in node.value)
        if low is None or high is None:
            return None
        if not low < high:
            hint = " (swapped?)" if low > high else f"; write the value itself, {low:g}"
            self.wrong(node, f"{kind}: expected low < high, got [{low:g}, {high:g}]{hint}")
            return None
        return low, high

    def step(self, kind: str, ends: tuple[float, float], log: bool) -> float | None:
        node = self.node.entries.get("step")
        if node is None:
            return None
        step = self.number(node, "step", whole=kind == "int")
        if step is None:
            return None
        low, high = ends
        if log:
            self.wrong(node, "step: a range with log can't have a step; leave one of them out")
        elif step <= 0 or step > high - low:
            self.wrong(node, f"step: expected more than 0 and at most {high - low:g}, got {step:g}")
        elif not math.isclose((high - low) / step, round((high - low) / step), abs_tol=1e-9):
            reached = low + math.floor((high - low) / step) * step
            self.wrong(
                node,
                f"step: {step:g} does not lead from {low:g} to {high:g}; the last value "
                f"reached is {reached:g}",
            )
        else:
            return step
        return None

    def numeric(self, kind: str) -> Range | None:
        log, ends = self.flag(), self.ends(kind)
        if ends is None:
            return None
        if log and ends[0] <= 0:
            self.wrong(
                self.node.entries[kind],
                f"{kind}: a range with log must begin above 0, got {ends[0]:g}",
            )
        step = self.step(kind, ends, log)
        if kind == "int":
            return IntRange(int(ends[0]), int(ends[1]), log, int(step or 1))
        return FloatRange(float(ends[0]), float(ends[1]), log, step and float(step))

    def choice(self) -> Range | None:
        node = self.node.entries["choice"]
        items = node.value if isinstance(node.value, tuple) else ()
        if not items or len(items) > MAX_CHOICES:
            got = describe(node.plain())
            self.wrong(node, f"choice: expected a list of 1 to {MAX_CHOICES} values, got {got}")
            return None
        values: list[bool | int | float | str] = []
        for item in items:
            value = item.value
            if value is None or isinstance(value, (dict, tuple)):
                self.wrong(item, f"choice: expected single values, got {describe(item.plain())}")
            elif any(same(value, earlier) for earlier in values):
                self.wrong(item, f"choice: {describe(value)} stands twice")
            else:
                values.append(value)
        return ChoiceRange(tuple(values)) if values else None

    def conditions(self) -> dict[str, tuple[Node, ...]]:
        when = self.node.entries.get("when")
        if when is None:
            return {}
        if not isinstance(when.value, dict) or not 1 <= len(when.value) <= MAX_CONDITIONS:
            self.wrong(when, f"when: expected {{path: value}}, got {describe(when.plain())}")
            return {}
        found = {}
        for path, node in when.value.items():
            values = node.value if isinstance(node.value, tuple) else (node,)
            wrong = [v for v in values if v.value is None or isinstance(v.value, (dict, tuple))]
            if wrong or not values:
                self.wrong(
                    node,
                    f"when: expected a value or a list of values, got {describe(node.plain())}",
                )
            else:
                found[path] = values[:MAX_CHOICES]
        return found


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def read_range(node: Node, path: tuple[str, ...]) -> tuple[Draft | None, list[Problem]]:
    """Read the range that stands at `path`.

    Returns:
        The range (its conditions as written), or None and what is wrong with it.
    """
    reader = _Reader(node, path)
    kind = reader.kind()
    if kind is None:
        return None, reader.problems
    range_ = reader.choice() if kind == "choice" else reader.numeric(kind)
    when = reader.conditions()
    if reader.problems or range_ is None:
        return None, reader.problems
    places = node.entries["when"].keys if when else {}
    return Draft(path, range_, node.place, when, places), []
