"""The ranges of a search and its other settings, read back from its record, and points in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tauopt.config.settings.dotted_paths import flat
from tauopt.config.settings.ranges import (
    ChoiceRange,
    Range,
    contains,
    describe_range,
    is_active,
    moved_inside,
    range_from_json,
    same,
)
from tauopt.config.source.yaml_source import Node, Scalar, describe
from tauopt.config.space.any_architecture import ANY, TYPE, with_type
from tauopt.errors import ConfigError, Problem, nearest


@dataclass(frozen=True)
class SearchedSpace:
    """The space of a search, as far as its study records it."""

    ranges: Mapping[str, Range]
    """Path -> range, each after the ranges in its conditions."""
    settings: Mapping[str, Any]
    """Path -> value of the settings of `model` and `training`; of a range its default."""

    def default(self, path: str) -> Scalar:
        """Return the default of a range, moved inside where it lies outside."""
        range_ = self.ranges[path]
        if path == TYPE and isinstance(range_, ChoiceRange):
            return range_.values[0]
        # Only `class_weights` may lack a key: a factor is 1 by default.
        return moved_inside(range_, self.settings.get(path, 1.0))


def searched_space(definition: Mapping[str, Any]) -> SearchedSpace:
    """Return the space of a search from its definition, as `ExperimentFile.definition` has it.

    Args:
        definition: after JSON; may lack any part, as in records of older versions.
    """
    ranges = {
        path: range_from_json(content) for path, content in definition.get("space", {}).items()
    }
    model = definition.get("model", {})
    settings = {
        **flat(model.get(ANY, model), "model"),
        **flat(definition.get("training", {}), "training"),
    }
    return SearchedSpace(_in_order(ranges), settings)


def _in_order(ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Sort ranges, each after those in its conditions."""
    ordered: dict[str, Range] = {}

    def visit(names: Iterable[str]) -> None:
        for name in names:
            if name in ranges and name not in ordered:
                visit(ranges[name].when)
                ordered[name] = ranges[name]

    visit(ranges)
    return ordered


def complete_point(given: Node, space: SearchedSpace) -> dict[str, Scalar]:
    """Return the point of a space with some given values, and the defaults of the other ranges.

    Args:
        given: mapping of dotted or nested paths to values. Settings that are no ranges may be
            given with the value that they have. With several architectures, `model.cell` is the
            setting of the one that `model.type` names.
        space: ranges of the search.
    Raises:
        ConfigError: an unknown path, or a value that its range does not have; all at once, with
            their places.
    """
    problems: list[Problem] = []
    values = _with_architecture(_flattened(given, problems), space)
    point: dict[str, Scalar] = {}
    for path, range_ in space.ranges.items():
        if not is_active(range_, point):
            continue
        point[path] = space.default(path)
        if (node := values.get(path)) is not None:
            if isinstance(node.value, Scalar) and contains(range_, node.value):
                point[path] = moved_inside(range_, node.value)
            else:
                problems.append(_outside(path, range_, node))
    for path, node in values.items():
        if path not in point and (message := _objection(path, node, space)):
            problems.append(node.place.problem(f"{path}: {message}", setting=path))
    if not values and not problems:
        problems.append(given.place.problem("expected `path: value` lines, got no value"))
    if problems:
        raise ConfigError(problems)
    return point


def _flattened(given: Node, problems: list[Problem]) -> dict[str, Node]:
    """Return dotted path -> value; a path that is given twice is a problem."""
    values: dict[str, Node] = {}

    def visit(node: Node, above: str) -> None:
        if not isinstance(node.value, dict):
            if above in values:
                message = f"{above}: is given twice, dotted and nested; leave one out"
                problems.append(node.place.problem(message, setting=above))
            values[above] = node
            return
        for key, entry in node.value.items():
            visit(entry, f"{above}.{key}" if above else key)

    visit(given, "")
    return values


def _with_architecture(values: Mapping[str, Node], space: SearchedSpace) -> dict[str, Node]:
    if TYPE not in space.ranges:
        return dict(values)
    type_ = values[TYPE].value if TYPE in values else space.default(TYPE)
    named: dict[str, Node] = {}
    for path, node in values.items():
        joint = with_type(path, str(type_))
        is_known = path in space.ranges or path in space.settings
        named[path if is_known else joint] = node
    return named


def _outside(path: str, range_: Range, node: Node) -> Problem:
    expected = describe_range(replace(range_, when={}))
    message = f"{path}: expected {expected}, got {describe(node.plain())}"
    if isinstance(node.value, Scalar):
        if isinstance(range_, ChoiceRange) and isinstance(node.value, str):
            message += nearest(node.value, map(str, range_.values))
        elif not isinstance(range_, ChoiceRange) and not isinstance(node.value, (bool, str)):
            message += f"; the nearest is {moved_inside(range_, node.value)}"
    return node.place.problem(message, setting=path)


def _objection(path: str, node: Node, space: SearchedSpace) -> str:
    """Return why a value can't be given at a path that is no active range; empty if it can."""
    if path in space.ranges:
        conditions = [
            f"{other} is {' or '.join(map(str, values))}"
            for other, values in space.ranges[path].when.items()
        ]
        return f"is searched only where {' and '.join(conditions)}; leave it out, or give that too"
    if path in space.settings:
        fixed = space.settings[path]
        if isinstance(fixed, Scalar) and isinstance(node.value, Scalar) and same(fixed, node.value):
            return ""
        return f"is no range of this search, but fixed at {describe(fixed)}; leave it out"
    known = nearest(path, space.ranges)
    return f"is no range of this search{known}; it has {', '.join(space.ranges) or 'none'}"
