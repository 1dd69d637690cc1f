"""Validation: pydantic's errors as problems with plain messages and their places in the file."""

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
"""Most problems that one kind of check reports, which bounds the work on a hostile file."""


def check(
    settings: type[Model], plain: Any, *, root: Node, above: settings_schema.Path = ()
) -> tuple[Model | None, list[Problem]]:
    """Validate plain values strictly against a settings class.

    Args:
        settings: the class, or an annotation of one.
        plain: dicts, tuples and scalars.
        root: the tree that `plain` was made from, for the places of problems.
        above: path of `root` in the whole file, for messages.
    Returns:
        The settings and no problem, or None and at most `MAX_PROBLEMS` problems.
    """
    try:
        return TypeAdapter(settings).validate_python(plain, strict=True), []
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAX_PROBLEMS]
        return None, [
            _with_setting(detail, _locate(settings, root, detail["loc"]), above)
            for detail in details
        ]


@dataclass(frozen=True)
class _Location:
    """Location of an error: its path and place in the file, and the annotations there."""

    path: tuple[str, ...]
    place: Place
    key_place: Place | None
    annotation: Any
    parent_annotation: Any
    parent: Node
    is_key: bool = False
    """Whether the key itself is wrong, not its value."""


def _locate(annotation: Any, root: Node, loc: tuple[int | str, ...]) -> _Location:
    """Follow pydantic's location down the file's tree."""
    node: Node | None = root
    location = _Location((), root.place, None, annotation, None, root)
    for part in loc:
        # Pydantic's location also holds the chosen member of a union, which is no key of the file.
        if part in settings_schema.by_type(annotation):
            annotation = settings_schema.by_type(annotation)[str(part)]
            continue
        if part in settings_schema.tags(annotation):
            continue
        if part == "[key]":
            return replace(location, place=location.key_place or location.place, is_key=True)
        if isinstance(part, int) and node is not None and not isinstance(node.value, tuple):
            continue  # a single value in place of a list: pydantic sees a list of one
        key_place, below = _step(node, part)
        location = _Location(
            path=(*location.path, str(part)),
            place=below.place if below else key_place or location.place,
            key_place=key_place or location.key_place,
            annotation=settings_schema.child(annotation, part, node)
            if isinstance(part, str)
            else None,
            parent_annotation=annotation,
            parent=node if node is not None else location.parent,
        )
        annotation, node = location.annotation, below
    return location


def _step(node: Node | None, part: int | str) -> tuple[Place | None, Node | None]:
    """Return the place of a key, and the node at a key or a list's position; None if missing."""
    if node is None:
        return None, None
    if isinstance(part, int):
        items = node.value if isinstance(node.value, tuple) else ()
        return None, items[part] if part < len(items) else None
    return node.keys.get(part), node.entries.get(part)


def _with_setting(error: ErrorDetails, location: _Location, above: settings_schema.Path) -> Problem:
    return replace(_problem(error, location, above), setting=".".join((*above, *location.path)))


def _problem(error: ErrorDetails, location: _Location, above: settings_schema.Path) -> Problem:
    name = ".".join((*above, *location.path))
    place, key_place = location.place, location.key_place or location.place
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        known = settings_schema.fields(location.parent_annotation, location.parent)
        hint = nearest(location.path[-1], known)
        return key_place.problem(f"unknown key {name!r}{hint}; known: {', '.join(known)}")
    if kind == "missing":
        # The key `data` is in the experiment file, but its mapping may be a dataset file.
        nearby = key_place if key_place.file == place.file else place
        return nearby.problem(f"{name} is missing{_misspelled(location)}")
    if kind == "value_error":
        return place.problem(f"{name}: {error['ctx']['error']}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_type(location, name, value)
    expected = _expected(error)
    if location.is_key:
        return place.problem(f"{name}: the key must be {expected}")
    return place.problem(f"{name}: expected {expected}, got {describe(value)}{_hint(error)}")


def _misspelled(location: _Location) -> str:
    """Return a hint at the unknown key of the parent that may be the missing one."""
    known = settings_schema.fields(location.parent_annotation, location.parent)
    unknown = [key for key in location.parent.entries if key not in known]
    hint = nearest(location.path[-1], unknown)
    return hint.replace("did you mean", "is it").replace("?)", " misspelled?)")


def _wrong_type(location: _Location, name: str, value: Any) -> Problem:
    choices = settings_schema.by_type(location.annotation)
    listed = ", ".join(choices)
    given = value.get("type") if isinstance(value, dict) else None
    if given is None:
        return (location.key_place or location.place).problem(
            f"{name}.type is missing; expected one of {listed}"
        )
    node = location.parent.entries.get(location.path[-1]) if location.path else location.parent
    type_node = node.entries.get("type") if node is not None else None
    place = type_node.place if type_node is not None else location.place
    hint = nearest(str(given), choices)
    return place.problem(f"{name}.type: expected one of {listed}, got {describe(given)}{hint}")


_EXPECTED: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "literal_error": lambda ctx: f"one of {str(ctx['expected']).replace(' or ', ', ')}",
    "greater_than": lambda ctx: f"a number greater than {ctx['gt']:.15g}",
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:.15g}",
    "less_than": lambda ctx: f"a number less than {ctx['lt']:.15g}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']:.15g}",
    "string_pattern_mismatch": lambda ctx: _pattern(str(ctx["pattern"])),
    "too_short": lambda ctx: f"at least {_entries(ctx['min_length'])}",
    "too_long": lambda ctx: f"at most {_entries(ctx['max_length'])}",
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
"""Kind of pydantic's error -> its context to what was expected, in words."""


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _expected(error: ErrorDetails) -> str:
    in_words = _EXPECTED.get(error["type"])
    return in_words(error.get("ctx", {})) if in_words else f"something else ({error['msg']})"


def _pattern(pattern: str) -> str:
    """Describe one of the regular expressions that settings classes use for text."""
    if ":" in pattern:
        return "a type of your own as package.module:Class"
    first = "a letter or _" if pattern.startswith("^[A-Za-z_]") else "a letter or digit"
    others = "A-Z a-z 0-9 _" if pattern.startswith("^[A-Za-z_]") else "A-Z a-z 0-9 . _ -"
    if "x00" in pattern:
        return "1 to 250 characters without control characters"
    return f"a name (1 to 64 of {others}, the first {first})"


def _hint(error: ErrorDetails) -> str:
    """Return a hint at what was probably meant; empty if there is none."""
    kind, value = error["type"], error["input"]
    if kind == "literal_error" and isinstance(value, str):
        return nearest(value, re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    if isinstance(value, dict) and kind in (*_NUMBERS, "string_type", "bool_type", "literal_error"):
        forms = "; a range is {int: [low, high]}, {float: [low, high]} or {choice: [...]}"
        return next((hint for key in value if (hint := nearest(key, KINDS))), forms)
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
