"""Safe reading of YAML, with the place (file, line, column) of every key and value.

Scalars follow the core schema of YAML 1.2. Tags, duplicate keys, merge keys and keys that aren't
text are problems. Sizes are bounded, so that a hostile file costs no more than a large one.
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
"""Most keys and values of a file; an alias counts as many as its anchor, at every use."""

OVERRIDE = "--set "
"""Prefix of `Place.file` if the place is an override of the command line, not a file."""

Scalar = bool | int | float | str
"""The value of a single setting, as a file, a range or a trial may have it."""

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
    """Place of a key or value: the file as the user names it, line and column from 1.

    Line and column are 0 if they are unknown.
    """

    file: str
    line: int = 0
    column: int = 0

    def problem(self, message: str, *, setting: str = "") -> Problem:
        """Return a problem at this place, about the setting of a dotted path where it is known."""
        return Problem(message, self.file, self.line, self.column, setting)


@dataclass(frozen=True)
class Node:
    """A value of a file: a mapping (dict), a list (tuple) or a scalar, with its place."""

    value: dict[str, Node] | tuple[Node, ...] | Scalar | None
    place: Place
    keys: Mapping[str, Place] = field(default_factory=dict)
    """Place of each key, if this is a mapping."""

    @property
    def entries(self) -> dict[str, Node]:
        """The mapping's entries; empty if this isn't a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """Return the value as dicts, tuples and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(node.plain() for node in self.value)
        return self.value


def read_yaml(path: Path | str) -> tuple[Node, list[Problem]]:
    """Read a YAML file whose top level is a mapping.

    Returns:
        The mapping, and the problems that don't prevent reading (duplicate keys, tags).
    Raises:
        ConfigError: the file can't be read, is not YAML, or exceeds the limits.
    """
    node, problems = read_document(path)
    if not isinstance(node.value, dict):
        message = f"expected `key: value` lines, got {describe(node.plain())}"
        raise ConfigError([*problems, node.place.problem(message)])
    return node, problems


def read_document(path: Path | str) -> tuple[Node, list[Problem]]:
    """Read a YAML file of any content; otherwise as `read_yaml`."""
    file = str(path)
    try:
        if not Path(path).is_file():
            message = "is a folder, not a file" if Path(path).is_dir() else "there is no such file"
            raise ConfigError([Problem(message, file)])
        with Path(path).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(f"can't be read: {error}", file)]) from error
    if len(content) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES:,} bytes, the limit for a file of settings"
        raise ConfigError([Problem(message, file)])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = "is not UTF-8 text; save the file as UTF-8"
        raise ConfigError([Problem(message, file, line, column)]) from error
    return parse_yaml(text, file=file)


def parse_yaml(text: str, *, file: str) -> tuple[Node, list[Problem]]:
    """Parse one YAML document; `file` names it in problems.

    Raises:
        ConfigError: the text is not YAML, or exceeds the limits.
    """
    composer = _Composer(file)
    try:
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return composer.document(events), composer.problems
    except yaml.YAMLError as error:
        raise ConfigError([*composer.problems, _syntax_problem(error, file)]) from error


def describe(value: Any) -> str:
    """Describe a value in a few words, for a message."""
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
    """Builds nodes from the events of PyYAML's parser.

    PyYAML's own loader follows YAML 1.1, has no limits and takes the last of duplicate keys.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        # Anchor -> its node (None while it is being read) and the node's number of nodes.
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
            message = "a second document begins here; expected one document per file"
            self.problems.append(self._place(after).problem(message))
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
            message = f"alias *{event.anchor} is inside its own anchor"
            raise ConfigError([*self.problems, self._place(event).problem(message)])
        return node

    def _content(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.ScalarEvent):
            is_quoted = not event.implicit[0]
            return Node(event.value if is_quoted else scalar(event.value), place)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                items.append(self._node(item, events, depth + 1))
            return Node(tuple(items), place)
        return self._mapping(place, events, depth)

    def _mapping(self, place: Place, events: Iterator[Any], depth: int) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1).value
            key_place = self._place(event)
            value = self._node(next(events), events, depth + 1)
            if objection := _objection_to_key(key, keys):
                self.problems.append(key_place.problem(objection))
            else:
                entries[str(key)], keys[str(key)] = value, key_place
        return Node(entries, place, keys)


def _objection_to_key(key: Any, keys: Mapping[str, Place]) -> str:
    """Return why `key` can't follow `keys` in a mapping; empty if it can."""
    if not isinstance(key, str):
        return f"a key must be text, got {describe(key)}; write it in quotes"
    if key == "<<":
        return (
            "merge keys `<<` are not supported; use `extends: other.yaml`, or an alias for a whole "
            "value"
        )
    if key in keys:
        line = keys[key].line
        return f"key {describe(key)} appears twice in this mapping; first in line {line}"
    return ""


def scalar(text: str) -> Scalar | None:
    """Return the value of a plain scalar in YAML 1.2's core schema.

    So `1e-4` is a number; `1p0n`, `on` and `no` are text; only `true` and `false` are truth values.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _syntax_problem(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    message = "not valid YAML: " + (", ".join(part for part in parts if part) or str(error))
    if "cannot start any token" in message:
        message += " (a tab, or text that needs quotes?)"
    if mark is None:
        return Problem(message.splitlines()[0], file)
    return Problem(message, file, mark.line + 1, mark.column + 1)
