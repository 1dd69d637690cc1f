"""YAML read safely, with the place of every key and value.

Scalars follow the core schema of YAML 1.2, so that `1e-4` is a number, `1p0n`, `on` and `no`
are text, and only `true` and `false` are truth values. Tags, duplicate keys, merge keys and
keys that aren't text are problems; sizes are bounded, so that a hostile file costs no more
than a large one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tauopt.errors import ConfigError, Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 10_000
"""Keys and values of a file, each alias counted as often as it is used."""

OVERRIDE = "--set "
"""What the file of a place begins with where it is no file but an override."""

Scalar = bool | int | float | str
"""A value that a file, a range or a trial may give to one setting."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


@dataclass(frozen=True)
class Place:
    """Where something stands: a file as the user names it, line and column from 1."""

    file: str
    line: int = 0
    column: int = 0

    def problem(self, message: str) -> Problem:
        """Return the problem `message` at this place."""
        return Problem(message, self.file, self.line, self.column)


@dataclass(frozen=True)
class Node:
    """A value of a file: a mapping (dict), a list (tuple) or a scalar, with its place."""

    value: dict[str, Node] | tuple[Node, ...] | Scalar | None
    place: Place
    keys: Mapping[str, Place] = field(default_factory=dict)
    """Of a mapping: where each key stands."""

    @property
    def entries(self) -> dict[str, Node]:
        """The mapping's entries; none if this isn't a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """Return the value as dicts, tuples and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(node.plain() for node in self.value)
        return self.value


def read_yaml(path: Path | str) -> tuple[Node, list[Problem]]:
    """Read a file whose top is a mapping.

    Returns:
        The mapping, and the problems that don't hinder reading on (duplicate keys, tags).
    Raises:
        ConfigError: it can't be read, is no YAML, or is beyond the limits.
    """
    file = str(path)
    try:
        if not Path(path).is_file():
            missing = "is a folder, not a file" if Path(path).is_dir() else "there is no such file"
            raise ConfigError([Problem(missing, file)])
        with Path(path).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(f"can't be read: {error}", file)]) from error
    if len(content) > MAX_BYTES:
        raise ConfigError([Problem(f"is larger than {MAX_BYTES:,} bytes", file)])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise ConfigError([Problem("is not UTF-8 text", file, line, column)]) from error
    node, problems = parse_yaml(text, file=file)
    if not isinstance(node.value, dict):
        raise ConfigError(
            [
                *problems,
                node.place.problem(f"expected `key: value` lines, got {describe(node.plain())}"),
            ]
        )
    return node, problems


def parse_yaml(text: str, *, file: str) -> tuple[Node, list[Problem]]:
    """Parse one YAML document; `file` names it in problems.

    Raises:
        ConfigError: it is no YAML, or is beyond the limits.
    """
    composer = _Composer(file)
    try:
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return composer.document(events), composer.problems
    except yaml.YAMLError as error:
        raise ConfigError([*composer.problems, _syntax_problem(error, file)]) from error


def describe(value: Any) -> str:
    """Say what a value is, short enough for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        names = ", ".join(list(value)[:4]) + (", ..." if len(value) > 4 else "")
        return f"a mapping ({names})" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Node | None, int]] = {}
        self._count = 0

    def document(self, events: Iterator[Any]) -> Node:
        """Return the root of the only document."""
        self._next(events, yaml.StreamStartEvent)
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node(None, Place(self.file, 1, 1))
        root = self._node(next(events), events, 0)
        self._next(events, yaml.DocumentEndEvent)
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            self.problems.append(
                self._place(after).problem("a second document begins here; expected one a file")
            )
        return root

    def _next(self, events: Iterator[Any], kind: type) -> None:
        event = next(events)
        if not isinstance(event, kind):
            self._stop(event, f"expected {kind.__name__}")

    def _place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _stop(self, event: Any, message: str) -> None:
        raise ConfigError([*self.problems, self._place(event).problem(message)])

    def _spend(self, event: Any, nodes: int) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            self._stop(event, f"more than {MAX_NODES:,} keys and values (aliases counted)")

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._spend(event, 1)
        if depth > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        if event.tag is not None:
            tag = describe(event.tag)
            self.problems.append(self._place(event).problem(f"tags are not allowed, got {tag}"))
        before = self._count
        if event.anchor:
            self._anchors[event.anchor] = (None, 0)
        node = self._content(event, events, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._count - before + 1)
        return node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            self._stop(event, f"alias *{event.anchor} has no anchor before it")
        node, nodes = self._anchors[event.anchor]
        self._spend(event, nodes)
        if node is None:
            raise ConfigError(
                [
                    *self.problems,
                    self._place(event).problem(
                        f"alias *{event.anchor} stands inside its own anchor"
                    ),
                ]
            )
        return node

    def _content(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0]
            return Node(scalar(event.value) if plain else event.value, place)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(following := next(events), yaml.SequenceEndEvent):
                items.append(self._node(following, events, depth + 1))
            return Node(tuple(items), place)
        return self._mapping(place, events, depth)

    def _mapping(self, place: Place, events: Iterator[Any], depth: int) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            at = self._place(event)
            value = self._node(next(events), events, depth + 1)
            if not self._key_allowed(key.value, at, keys):
                continue
            entries[str(key.value)], keys[str(key.value)] = value, at
        return Node(entries, place, keys)

    def _key_allowed(self, key: Any, at: Place, keys: Mapping[str, Place]) -> bool:
        if not isinstance(key, str):
            self.problems.append(
                at.problem(f"a key must be text, got {describe(key)}; write it in quotes")
            )
        elif key == "<<":
            self.problems.append(
                at.problem(
                    "merge keys `<<` are not supported; use `extends: other.yaml`, or an "
                    "alias for a whole value"
                )
            )
        elif key in keys:
            first = keys[key]
            self.problems.append(
                at.problem(
                    f"key {describe(key)} stands twice in this mapping; first in line {first.line}"
                )
            )
        else:
            return True
        return False


def scalar(text: str) -> Scalar | None:
    """Return what a plain scalar means in YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _syntax_problem(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = [getattr(error, "context", None), getattr(error, "problem", None)]
    message = "not valid YAML: " + (", ".join(word for word in words if word) or str(error))
    if "cannot start any token" in message:
        message += " (a tab, or text that needs quotes?)"
    if mark is None:
        return Problem(message.splitlines()[0], file)
    return Problem(message, file, mark.line + 1, mark.column + 1)
