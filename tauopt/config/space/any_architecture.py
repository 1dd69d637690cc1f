"""Experiments with several architectures: `model: {any: {rnn: {...}, deepsets: {...}}}`.

Such a tree is split into one ordinary experiment per architecture, each with a `type`; every node
keeps its place. In a `when`, `model.rnn.cell` is a setting of one architecture, and `model.type` is
the architecture itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tauopt.config.settings import settings_schema
from tauopt.config.settings.networks import Network
from tauopt.config.settings.networks.hypermodel import OWN_TYPE, is_own_type
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, Place, Scalar, describe
from tauopt.errors import Problem, nearest

ANY = "any"
TYPE = "model.type"
"""Path of the parameter that selects the architecture."""
TYPES: tuple[str, ...] = tuple(
    name for name in settings_schema.by_type(Network) if name != OWN_TYPE
)
"""Types of the built-in networks."""


def is_any(model: Node | None) -> bool:
    """Return whether a model is one of several architectures."""
    return model is not None and ANY in model.entries


def with_type(path: str, type_: str) -> str:
    """Insert the architecture into a setting's path, or into a text that begins with one.

    `model.cell` of `rnn` becomes `model.rnn.cell`; `model.type` and other sections stay as they
    are.
    """
    section, _, rest = path.partition(".")
    if section != "model" or rest.partition(" ")[0] == "type":
        return path
    return f"model.{type_}.{rest}"


def problem_with_type(problem: Problem, type_: str) -> Problem:
    """Insert the architecture into all settings' paths in a problem's message."""
    message = re.sub(r"(?<![\w.])model\.(?=\w)(?!type\b)", f"model.{type_}.", problem.message)
    return replace(problem, message=message)


def without_type(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Remove the architecture from the paths of a point of the search space.

    The inverse of `with_type`: the paths are those of a file with this architecture only.
    """
    prefix = f"model.{values.get(TYPE)}."
    return {
        f"model.{path.removeprefix(prefix)}" if path.startswith(prefix) else path: value
        for path, value in values.items()
    }


def architecture(model: Node, type_: str) -> Node:
    """Return one of several architectures as an ordinary model with `type`."""
    architectures = model.entries[ANY]
    node, place = architectures.entries[type_], architectures.keys[type_]
    type_entry = {"type": Node(type_, place)}
    # Twice: `type` comes first in the order of keys, and replaces a wrong one in the file.
    entries = type_entry | node.entries | type_entry
    return Node(entries, node.place, {"type": place} | dict(node.keys))


def split_architectures(root: Node) -> tuple[dict[str, Node], list[Problem]]:
    """Split an experiment with several architectures into one ordinary experiment for each.

    Args:
        root: an experiment for which `is_any` holds.
    Returns:
        type -> tree, for the architectures that can be read; the problems of `any` itself.
    """
    model = root.entries["model"]
    problems = list(_check_any(model))
    trees = {}
    for type_, node in model.entries[ANY].entries.items():
        if type_ in TYPES and isinstance(node.value, dict):
            trees[type_], condition_problems = select_architecture(root, type_)
            problems += condition_problems
    return trees, problems


def _check_any(model: Node) -> Iterator[Problem]:
    for key in model.entries:
        if key != ANY:
            yield model.keys[key].problem(
                f"model.{key}: no key is allowed beside `any`; put it into the architectures"
            )
    node = model.entries[ANY]
    if not isinstance(node.value, dict) or tree.is_range(node):
        yield node.place.problem(
            "model.any: expected types with their settings, {rnn: {...}, deepsets: {...}}, "
            f"got {describe(node.plain())}"
        )
        return
    for type_, settings in node.entries.items():
        yield from _check_architecture(type_, settings, node.keys[type_])
    if len(node.entries) < 2:
        known = [type_ for type_ in node.entries if type_ in TYPES]
        hint = "".join(f"; write model: {{type: {type_}, ...}}" for type_ in known)
        yield node.place.problem(
            f"model.any: expected at least two architectures, got {len(node.entries)}{hint}"
        )


def _check_architecture(type_: str, settings: Node, place: Place) -> Iterator[Problem]:
    name = f"model.any.{type_}"
    if is_own_type(type_):
        yield place.problem(
            f"{name}: a model of your own can't be one of several; search it by itself with "
            f"model: {{type: {type_}}}"
        )
    elif type_ not in TYPES:
        listed = ", ".join(TYPES)
        message = f"expected types of {listed}, got {describe(type_)}{nearest(type_, TYPES)}"
        yield place.problem(f"model.any: {message}")
    elif not isinstance(settings.value, dict):
        got = describe(settings.plain())
        yield settings.place.problem(
            f"{name}: expected a mapping, got {got}; {{}} takes the literature's values"
        )
    elif "type" in settings.entries:
        yield settings.keys["type"].problem(
            f"{name}.type: the architecture's name, {type_}, is its type; leave this out"
        )


def select_architecture(root: Node, type_: str) -> tuple[Node, list[Problem]]:
    """Return the ordinary experiment of one architecture, and the problems of its conditions."""
    model = architecture(root.entries["model"], type_)
    conditions = _Conditions(type_, tuple(root.entries["model"].entries[ANY].entries), [])
    entries = {**root.entries, "model": conditions.translate(model, ("model",))}
    if "training" in entries:
        entries["training"] = conditions.translate(entries["training"], ("training",))
    keys = {**root.keys, "model": root.entries["model"].entries[ANY].keys[type_]}
    return Node(entries, root.place, keys), conditions.problems


@dataclass(frozen=True)
class _Conditions:
    """Translates the conditions of ranges to the paths of one architecture's experiment."""

    type_: str
    types: tuple[str, ...]
    problems: list[Problem]

    def translate(self, node: Node, path: settings_schema.Path) -> Node:
        """Return `node` with the conditions of all ranges in it without the architecture."""
        if not isinstance(node.value, dict):
            return node
        if not tree.is_range(node):
            entries = {
                key: self.translate(entry, (*path, key)) for key, entry in node.entries.items()
            }
            return Node(entries, node.place, node.keys)
        when = node.entries.get("when")
        if when is None or not when.entries:
            return node
        translated = self._when(when, path)
        if not translated.entries:
            return tree.without(node, "when")
        return Node({**node.entries, "when": translated}, node.place, node.keys)

    def _when(self, when: Node, path: settings_schema.Path) -> Node:
        entries: dict[str, Node] = {}
        never: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for name, values in when.entries.items():
            place = when.keys[name]
            type_ = self._type_in(name)
            if objection := self._objection(name, values, in_model=path[0] == "model"):
                self.problems.append(place.problem(f"{'.'.join(path)}: when: {objection}"))
            elif type_ in (None, self.type_):
                plain = name if type_ is None else f"model.{name.removeprefix(f'model.{type_}.')}"
                entries[plain], keys[plain] = values, place
            else:
                # A condition on another architecture's setting never holds in this one.
                never[TYPE], keys[TYPE] = Node(str(type_), values.place), place
        return Node({**entries, **never}, when.place, keys)

    def _type_in(self, name: str) -> str | None:
        """Return the architecture in a setting's path; None if there is none."""
        section, _, rest = name.partition(".")
        first, dot, _ = rest.partition(".")
        return first if section == "model" and dot and first in self.types else None

    def _objection(self, name: str, values: Node, *, in_model: bool) -> str:
        """Return why a condition is wrong; empty if it is right."""
        listed = ", ".join(self.types)
        if name == TYPE:
            items = values.value if isinstance(values.value, tuple) else (values,)
            unknown = [str(item.value) for item in items if item.value not in self.types]
            if not unknown:
                return ""
            hint = nearest(unknown[0], self.types)
            return f"{TYPE} is one of {listed} and never {describe(unknown[0])}{hint}"
        if in_model or not name.startswith("model.") or self._type_in(name):
            return ""
        setting = name.removeprefix("model.")
        return (
            f"there is no setting {name!r}: each architecture has its own; "
            f"write model.{self.types[0]}.{setting}, or {TYPE}"
        )
