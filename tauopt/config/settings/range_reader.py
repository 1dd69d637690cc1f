"""Reading of a range that a file writes in place of a single value."""

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
    """A range as written in a file; its conditions are not resolved yet."""

    path: tuple[str, ...]
    range: Range
    place: Place
    when: Mapping[str, tuple[Node, ...]]
    """Path of a setting -> the values under which the range is active, as written."""
    when_places: Mapping[str, Place]
    """Path of a setting -> place of this key."""

    @property
    def name(self) -> str:
        """Dotted path of the setting."""
        return ".".join(self.path)


class _Reader:
    """Reads the parts of one range and collects its problems."""

    def __init__(self, node: Node, path: tuple[str, ...]) -> None:
        self.node, self.path, self.name = node, path, ".".join(path)
        self.problems: list[Problem] = []

    def report(self, node: Node, message: str) -> None:
        self.problems.append(node.place.problem(f"{self.name}: {message}"))

    def kind(self) -> str | None:
        kinds = [kind for kind in KINDS if kind in self.node.entries]
        if len(kinds) > 1:
            self.report(self.node, f"a range has one kind, got {' and '.join(kinds)}")
            return None
        (kind,) = kinds
        options = ("when",) if kind == "choice" else ("log", "step", "when")
        for key in self.node.entries:
            if key not in (kind, *options):
                place = self.node.keys.get(key, self.node.place)
                expected = f"a range of kind {kind} takes {', '.join(options)}"
                hint = nearest(key, (kind, *options))
                self.problems.append(place.problem(f"{self.name}: {expected}, got {key!r}{hint}"))
        return kind

    def log(self) -> bool:
        log = self.node.entries.get("log")
        if log is not None and not isinstance(log.value, bool):
            self.report(log, f"log: expected true or false, got {describe(log.plain())}")
        return log is not None and log.value is True

    def number(self, node: Node, key: str, *, whole: bool) -> float | None:
        value = node.value
        kinds = int if whole else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and _finite(value):
            return value
        expected = "a whole number" if whole else "a number"
        self.report(node, f"{key}: expected {expected}, got {describe(node.plain())}")
        return None

    def ends(self, kind: str) -> tuple[float, float] | None:
        node = self.node.entries[kind]
        if not isinstance(node.value, tuple) or len(node.value) != 2:
            self.report(node, f"{kind}: expected [low, high], got {describe(node.plain())}")
            return None
        low, high = (self.number(end, kind, whole=kind == "int") for end in node.value)
        if low is None or high is None:
            return None
        if not low < high:
            hint = " (swapped?)" if low > high else f"; write the value itself, {low:g}"
            self.report(node, f"{kind}: expected low < high, got [{low:g}, {high:g}]{hint}")
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
            self.report(node, "step: a range with log can't have a step; leave one of them out")
        elif step <= 0 or step > high - low:
            expected = f"more than 0 and at most {high - low:g}"
            self.report(node, f"step: expected {expected}, got {step:g}")
        elif not math.isclose((high - low) / step, round((high - low) / step), abs_tol=1e-9):
            reached = low + math.floor((high - low) / step) * step
            self.report(
                node,
                f"step: {step:g} does not lead from {low:g} to {high:g}; the last value "
                f"reached is {reached:g}",
            )
        else:
            return step
        return None

    def numeric(self, kind: str) -> Range | None:
        log, ends = self.log(), self.ends(kind)
        if ends is None:
            return None
        if log and ends[0] <= 0:
            self.report(
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
            self.report(node, f"choice: expected a list of 1 to {MAX_CHOICES} values, got {got}")
            return None
        values: list[bool | int | float | str] = []
        for item in items:
            value = item.value
            if value is None or isinstance(value, (dict, tuple)):
                self.report(item, f"choice: expected single values, got {describe(item.plain())}")
            elif any(same(value, earlier) for earlier in values):
                self.report(item, f"choice: {describe(value)} appears twice")
            else:
                values.append(value)
        return ChoiceRange(tuple(values)) if values else None

    def conditions(self) -> dict[str, tuple[Node, ...]]:
        when = self.node.entries.get("when")
        if when is None:
            return {}
        if not isinstance(when.value, dict) or not 1 <= len(when.value) <= MAX_CONDITIONS:
            self.report(when, f"when: expected {{path: value}}, got {describe(when.plain())}")
            return {}
        conditions = {}
        for path, node in when.value.items():
            values = node.value if isinstance(node.value, tuple) else (node,)
            if values and all(_is_single(value) for value in values):
                conditions[path] = values[:MAX_CHOICES]
            else:
                got = describe(node.plain())
                self.report(node, f"when: expected a value or a list of values, got {got}")
        return conditions


def _is_single(node: Node) -> bool:
    return node.value is not None and not isinstance(node.value, (dict, tuple))


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def read_range(node: Node, path: tuple[str, ...]) -> tuple[Draft | None, list[Problem]]:
    """Read the range at `path`.

    Args:
        node: the range as a mapping with one key of `KINDS`.
        path: keys of the setting, for messages.
    Returns:
        The range (its conditions as written) and no problem, or None and its problems.
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
