"""`model: {any: {rnn: {...}, deepsets: {...}}}`: one tree with several architectures in it.

It stands for as many ordinary experiments, each with a `type`; every node keeps its place. In a
`when`, `model.rnn.cell` names a setting of one architecture, `model.type` the architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tauopt.config.settings import settings_schema
from tauopt.config.settings.networks import Network
from tauopt.config.settings.networks.hypermodel import OWN, is_own
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, Place, Scalar, describe
from tauopt.errors import Problem, nearest

ANY = "any"
TYPE = "model.type"
"""Path of the parameter that chooses the architecture."""
TYPES: tuple[str, ...] = tuple(name for name in settings_schema.by_type(Network) if name != OWN)
"""Of the built-in networks."""


def is_any(model: Node | None) -> bool:
    """Say whether a model is one of several architectures."""
    return model is not None and ANY in model.entries


def in_type(path: str, type_: str) -> str:
    """Return the name of a setting, or a text that begins with one, among several architectures.

    `model.cell` of `rnn` is `model.rnn.cell`; all but the model's settings keep their names.
    """
    section, _, rest = path.partition(".")
    if section != "model" or rest.partition(" ")[0] == "type":
        return path
    return f"model.{type_}.{rest}"


def told_in_type(problem: Problem, type_: str) -> Problem:
    """Return a problem of one architecture's experiment with its settings' names among several."""
    names = re.sub(r"(?<![\w.])model\.(?=\w)(?!type\b)", f"model.{type_}.", problem.message)
    return replace(problem, message=names)


def ordinary(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return a point by the names that its settings have in a file of its one architecture."""
    above = f"model.{values.get(TYPE)}."
    return {
        f"model.{path.removeprefix(above)}" if path.startswith(above) else path: value
        for path, value in values.items()
    }


def architecture(model: Node, type_: str) -> Node:
    """Return one architecture of a model of several as a model of that type."""
    of_types = model.entries[ANY]
    node, place = of_types.entries[type_], of_types.keys[type_]
    chosen = {"type": Node(type_, place)}
    return Node(chosen | node.entries | chosen, node.place, {"type": place} | dict(node.keys))


def split(root: Node) -> tuple[dict[str, Node], list[Problem]]:
    """Return one ordinary experiment for each architecture, and what is wrong with their list.

    Args:
        root: an experiment whose model is one of several architectures.
    Returns:
        type -> tree, of those architectures that can be read; problems.
    """
    model = root.entries["model"]
    problems = list(_wrong(model))
    trees = {}
    for type_, node in model.entries[ANY].entries.items():
        if type_ in TYPES and isinstance(node.value, dict):
            trees[type_], more = only(root, type_)
            problems += more
    return trees, problems


def _wrong(model: Node) -> Iterator[Problem]:
    for key in model.entries:
        if key != ANY:
            yield model.keys[key].problem(
                f"model.{key}: nothing may stand beside `any`; put it into the architectures"
            )
    node = model.entries[ANY]
    if not isinstance(node.value, dict) or tree.is_range(node):
        yield node.place.problem(
            "model.any: expected types with their settings, {rnn: {...}, deepsets: {...}}, "
            f"got {describe(node.plain())}"
        )
        return
    for type_, settings in node.entries.items():
        yield from _wrong_architecture(type_, settings, node.keys[type_])
    if len(node.entries) < 2:
        known = [type_ for type_ in node.entries if type_ in TYPES]
        hint = "".join(f"; write model: {{type: {type_}, ...}}" for type_ in known)
        yield node.place.problem(
            f"model.any: expected at least two architectures, got {len(node.entries)}{hint}"
        )


def _wrong_architecture(type_: str, settings: Node, place: Place) -> Iterator[Problem]:
    name = f"model.any.{type_}"
    if is_own(type_):
        yield place.problem(
            f"{name}: a model of your own can't be one of several; search it by itself, as "
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
            f"{name}.type: its name, {type_}, is its type; leave this out"
        )


def only(root: Node, type_: str) -> tuple[Node, list[Problem]]:
    """Return the ordinary experiment of one architecture, and what is wrong with conditions."""
    model = architecture(root.entries["model"], type_)
    conditions = _Conditions(type_, tuple(root.entries["model"].entries[ANY].entries), [])
    entries = {**root.entries, "model": conditions.seen(model, ("model",))}
    if "training" in entries:
        entries["training"] = conditions.seen(entries["training"], ("training",))
    keys = {**root.keys, "model": root.entries["model"].entries[ANY].keys[type_]}
    return Node(entries, root.place, keys), conditions.problems


@dataclass(frozen=True)
class _Conditions:
    """What conditions on architectures say where the architecture is known."""

    type_: str
    types: tuple[str, ...]
    problems: list[Problem]

    def seen(self, node: Node, path: settings_schema.Path) -> Node:
        """Return `node` with the conditions of all ranges in it by their ordinary names."""
        if not isinstance(node.value, dict):
            return node
        if not tree.is_range(node):
            entries = {key: self.seen(entry, (*path, key)) for key, entry in node.entries.items()}
            return Node(entries, node.place, node.keys)
        when = node.entries.get("when")
        if when is None or not when.entries:
            return node
        left = self._when(when, path)
        if not left.entries:
            return tree.without(node, "when")
        return Node({**node.entries, "when": left}, node.place, node.keys)

    def _when(self, when: Node, path: settings_schema.Path) -> Node:
        """Return conditions of this architecture; one on another's setting never holds."""
        here: dict[str, Node] = {}
        elsewhere: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for name, values in when.entries.items():
            place = when.keys[name]
            type_ = self._type_of(name)
            if objection := self._objection(name, values, in_model=path[0] == "model"):
                self.problems.append(place.problem(f"{'.'.join(path)}: when: {objection}"))
            elif type_ in (None, self.type_):
                own = name if type_ is None else f"model.{name.removeprefix(f'model.{type_}.')}"
                here[own], keys[own] = values, place
            else:
                elsewhere[TYPE], keys[TYPE] = Node(str(type_), values.place), place
        return Node({**here, **elsewhere}, when.place, keys)

    def _type_of(self, name: str) -> str | None:
        """Return the architecture whose setting is named; None if it is no one's by its name."""
        section, _, rest = name.partition(".")
        first, dot, _ = rest.partition(".")
        return first if section == "model" and dot and first in self.types else None

    def _objection(self, name: str, values: Node, *, in_model: bool) -> str:
        listed = ", ".join(self.types)
        if name == TYPE:
            items = values.value if isinstance(values.value, tuple) else (values,)
            wrong = [str(item.value) for item in items if item.value not in self.types]
            near = nearest(wrong[0], self.types) if wrong else ""
            never = "".join(f"{describe(one)}{near}" for one in wrong[:1])
            return f"{TYPE} is one of {listed} and never {never}" if wrong else ""
        if in_model or not name.startswith("model.") or self._type_of(name):
            return ""
        setting = name.removeprefix("model.")
        return (
            f"there is no setting {name!r}: each architecture has its own; "
            f"write model.{self.types[0]}.{setting}, or {TYPE}"
        )
