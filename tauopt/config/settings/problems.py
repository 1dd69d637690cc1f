"""From pydantic's errors to problems in the user's own words and places."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tauopt.config.settings import settings_schema
from tauopt.config.source.tree import KINDS
from tauopt.config.source.yaml_source import Node, Place, describe
from tauopt.errors import Problem, nearest

Model = TypeVar("Model", bound=BaseModel)

MAX_PROBLEMS = 100
"""Problems told of one kind of check; a file with more is no file of ours."""


def check(
    settings: type[Model], plain: Any, *, root: Node, above: settings_schema.Path = ()
) -> tuple[Model | None, list[Problem]]:
    """Validate plain values strictly against a settings class.

    Args:
        settings: the class, or an annotation with one.
        plain: dicts, tuples and scalars.
        root: the tree that `plain` came from, for the places of problems.
        above: path of `root` in the whole file, for messages.
    Returns:
        The settings and no problem, or None and every problem.
    """
    try:
        return TypeAdapter(settings).validate_python(plain, strict=True), []
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAX_PROBLEMS]
        spots = [_find(settings, root, detail["loc"]) for detail in details]
        return None, [_problem(*pair, above) for pair in zip(details, spots, strict=True)]


@dataclass(frozen=True)
class _Spot:
    """Where an error stands: its path in the file, and what the file and the classes hold there."""

    path: tuple[str, ...]
    place: Place
    key_place: Place | None
    annotation: Any
    parent_annotation: Any
    parent: Node
    is_key: bool = False


def _find(annotation: Any, root: Node, loc: tuple[int | str, ...]) -> _Spot:
    """Follow pydantic's location, which names chosen types and keys, down the file's tree."""
    node: Node | None = root
    spot = _Spot((), root.place, None, annotation, None, root)
    for part in loc:
        if part in settings_schema.by_type(annotation):
            annotation = settings_schema.by_type(annotation)[str(part)]
            continue
        if part in settings_schema.tags(annotation):
            continue
        if part == "[key]":
            return replace(spot, place=spot.key_place or spot.place, is_key=True)
        if isinstance(part, int) and node is not None and not isinstance(node.value, tuple):
            continue  # one value where a list may stand
        parent = node if node is not None else spot.parent
        key_place, following = _step(node, part)
        spot = _Spot(
            (*spot.path, str(part)),
            following.place if following else key_place or spot.place,
            key_place or spot.key_place,
            settings_schema.child(annotation, str(part), node) if isinstance(part, str) else None,
            annotation,
            parent,
        )
        annotation, node = spot.annotation, following
    return spot


def _step(node: Node | None, part: int | str) -> tuple[Place | None, Node | None]:
    if node is None:
        return None, None
    if isinstance(part, int):
        items = node.value if isinstance(node.value, tuple) else ()
        return None, items[part] if part < len(items) else None
    return node.keys.get(part), node.entries.get(part)


def _problem(error: ErrorDetails, spot: _Spot, above: settings_schema.Path) -> Problem:
    name = ".".join((*above, *spot.path))
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return (spot.key_place or spot.place).problem(_unknown_key(spot, name))
    if kind == "missing":
        same_file = spot.key_place is not None and spot.key_place.file == spot.place.file
        place = spot.key_place if spot.key_place is not None and same_file else spot.place
        return place.problem(f"{name} is missing{_misspelled(spot)}")
    if kind == "value_error":
        return spot.place.problem(f"{name}: {error['ctx']['error']}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_type(spot, name, value)
    if spot.is_key:
        return spot.place.problem(f"{name}: the key must be {_expected(error)}")
    expected = _expected(error)
    return spot.place.problem(f"{name}: expected {expected}, got {describe(value)}{_hint(error)}")


def _unknown_key(spot: _Spot, name: str) -> str:
    known = settings_schema.fields(spot.parent_annotation, spot.parent)
    return f"unknown key {name!r}{nearest(spot.path[-1], known)}; known: {', '.join(known)}"


def _misspelled(spot: _Spot) -> str:
    """Say which unknown key of the parent may be the missing one."""
    known = settings_schema.fields(spot.parent_annotation, spot.parent)
    unknown = [key for key in spot.parent.entries if key not in known]
    close = nearest(spot.path[-1], unknown)
    return close.replace("did you mean", "is it").replace("?)", " misspelled?)")


def _wrong_type(spot: _Spot, name: str, value: Any) -> Problem:
    choices = settings_schema.by_type(spot.annotation)
    listed = ", ".join(choices)
    given = value.get("type") if isinstance(value, dict) else None
    if given is None:
        return (spot.key_place or spot.place).problem(
            f"{name}.type is missing; expected one of {listed}"
        )
    node = spot.parent.entries.get(spot.path[-1]) if spot.path else spot.parent
    written = node.entries.get("type") if node is not None else None
    place = written.place if written is not None else spot.place
    hint = nearest(str(given), choices)
    return place.problem(f"{name}.type: expected one of {listed}, got {describe(given)}{hint}")


_EXPECTED: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "literal_error": lambda ctx: f"one of {str(ctx['expected']).replace(' or ', ', ')}",
    "greater_than": lambda ctx: f"a number greater than {_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"at least {_number(ctx['ge'])}",
    "less_than": lambda ctx: f"a number less than {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"at most {_number(ctx['le'])}",
    "string_pattern_mismatch": lambda ctx: _pattern(str(ctx["pattern"])),
    "too_short": lambda ctx: f"at least {ctx['min_length']} of them",
    "too_long": lambda ctx: f"at most {ctx['max_length']} of them",
    "int_type": lambda ctx: "a whole number",
    "int_from_float": lambda ctx: "a whole number",
    "float_type": lambda ctx: "a number",
    "finite_number": lambda ctx: "a finite number",
    "bool_type": lambda ctx: "true or false",
    "string_type": lambda ctx: "text",
    "tuple_type": lambda ctx: "a list",
    "dict_type": lambda ctx: "a mapping",
    "model_type": lambda ctx: "a mapping",
    "model_attributes_type": lambda ctx: "a mapping",
}


def _number(value: float) -> str:
    return f"{value:.15g}"


def _expected(error: ErrorDetails) -> str:
    say = _EXPECTED.get(error["type"])
    return say(error.get("ctx", {})) if say else f"something else ({error['msg']})"


def _pattern(pattern: str) -> str:
    if ":" in pattern:
        return "a type of your own as package.module:Class"
    first = "a letter or _" if pattern.startswith("^[A-Za-z_]") else "a letter or digit"
    others = "A-Z a-z 0-9 _" if pattern.startswith("^[A-Za-z_]") else "A-Z a-z 0-9 . _ -"
    if "x00" in pattern:
        return "1 to 250 characters without control characters"
    return f"a name (1 to 64 of {others}, the first {first})"


def _hint(error: ErrorDetails) -> str:
    """Say what was probably meant."""
    kind, value = error["type"], error["input"]
    if kind == "literal_error" and isinstance(value, str):
        return nearest(value, re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    if isinstance(value, dict) and kind in (*_NUMBERS, "string_type", "bool_type", "literal_error"):
        close = [hint for key in value if (hint := nearest(key, KINDS))]
        return (
            close[0]
            if close
            else "; a range is {int: [low, high]}, {float: [low, high]} or {choice: [...]}"
        )
    if kind == "tuple_type" and isinstance(value, str):
        return f"; write [{value}]"
    return _number_hint(kind, value)


_NUMBERS = ("int_type", "int_from_float", "float_type")


def _number_hint(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return "; write it in quotes"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in _TRUTH:
        return f" (did you mean {_TRUTH[value.lower()]}?)"
    if kind in _NUMBERS and isinstance(value, float) and value.is_integer():
        return f" (did you mean {int(value)}?)"
    if kind in _NUMBERS and isinstance(value, str):
        digits = value.replace("_", "").replace(",", "").replace(" ", "")
        return f" (did you mean {digits}?)" if digits.isdigit() else ""
    return ""


_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
