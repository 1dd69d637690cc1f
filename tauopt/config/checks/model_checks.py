"""Checks of what a network sees: groups, features and coordinates that the dataset must have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tauopt.config.settings import settings_schema
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.config.settings.networks import Network
from tauopt.config.settings.networks.input_selection import chosen, dropped, first_of, kept
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, Place
from tauopt.errors import Problem

FeatureNames = Mapping[str, tuple[str, ...]]
"""Group, or `candidate` -> names of its features."""


def check_sight(root: Node, dataset: Node) -> Iterator[Problem]:
    """Check a network's `inputs`, `drop` and `coordinates` against its groups and the dataset.

    Args:
        root: an experiment's tree; parts of a wrong type are passed over.
        dataset: the tree of its dataset.
    """
    model = root.entries.get("model")
    if (
        model is None
        or CANDIDATE not in dataset.entries
        or not settings_schema.fields(Network, model)
    ):
        return
    known = (CANDIDATE, *_groups(model))
    declared = {CANDIDATE: dataset.entries[CANDIDATE]} | {
        name: group.entries["features"]
        for name, group in _entries(dataset, "groups").items()
        if "features" in group.entries
    }
    features = {name: tuple(declared[name].entries) for name in known if name in declared}
    yield from _objections(model, ("inputs",), lambda text: chosen(text, known))
    yield from _objections(model, ("drop",), lambda text: _left(text, features))
    place = root.keys.get("model", model.place)
    for node in _texts(model, ("drop",)):
        with contextlib.suppress(ValueError):
            yield from _coordinates(model, _left(str(node.value), features), place)


def seen_groups(model: Node) -> list[str]:
    """Return the groups that a network may see: of its `groups`, those that `inputs` can choose."""
    known = _groups(model)
    found: set[str] = set()
    for node in _texts(model, ("inputs",)):
        try:
            found |= set(chosen(str(node.value), (CANDIDATE, *known)))
        except ValueError:
            found |= set(known)
    return [name for name in known if name in found]


def _groups(model: Node) -> list[str]:
    groups = model.entries.get("groups")
    if groups is None:
        groups = settings_schema.default_node(settings_schema.fields(Network, model).get("groups"))
    return list(groups.entries) if groups is not None else []


def _entries(node: Node, key: str) -> dict[str, Node]:
    return node.entries[key].entries if key in node.entries else {}


def _texts(model: Node, path: settings_schema.Path) -> list[Node]:
    """Return the texts that a setting may take: its own, those of its range, or the default's."""
    node = tree.get(model, path)
    if node is None:
        default = _default(model, path)
        return [Node(default, model.place)] if isinstance(default, str) else []
    node = node.entries.get("choice", node)
    items = node.value if isinstance(node.value, tuple) else (node,)
    return [item for item in items if isinstance(item.value, str)]


def _default(model: Node, path: settings_schema.Path) -> Any:
    """Return a network's default of a setting; None if it has no such setting."""
    field = settings_schema.fields(Network, model).get(path[0])
    value = field.default if field is not None else None
    return value if len(path) == 1 else getattr(value, path[1], None)


def _objections(
    model: Node, path: settings_schema.Path, read: Callable[[str], Any]
) -> Iterator[Problem]:
    """Give a problem for each text of a setting that `read` refuses."""
    for node in _texts(model, path):
        try:
            read(str(node.value))
        except ValueError as error:
            yield node.place.problem(f"{'.'.join(('model', *path))}: {error}")


def _left(text: str, features: FeatureNames) -> FeatureNames:
    """Return the features that a `drop` text leaves."""
    out = dropped(text)
    for name in out:
        if name not in features:
            chosen(name, tuple(features))
    return {
        name: tuple(all_[position] for position in kept(all_, out.get(name, ()), group=name))
        for name, all_ in features.items()
    }


def _coordinates(model: Node, features: FeatureNames, place: Place) -> Iterator[Problem]:
    """Give a problem for each group that lacks a feature which the network computes with."""
    coordinates = _default(model, ("coordinates",))
    pairwise = model.entries.get("pairwise")
    optional = "pairwise" in settings_schema.fields(Network, model)
    if coordinates is None or (optional and (pairwise is None or pairwise.value is False)):
        return
    groups = [name for name in seen_groups(model) if name in features]
    for key in type(coordinates).model_fields:
        for node in _texts(model, ("coordinates", key)):
            here = place if node.place is model.place else node.place
            for name in groups:
                try:
                    first_of(str(node.value), features[name], group=name)
                except ValueError as error:
                    yield here.problem(f"model.coordinates.{key}: {error}")
