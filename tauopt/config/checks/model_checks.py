"""Checks of a network's inputs: groups, features and coordinates that the dataset must have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tauopt.config.settings import settings_schema
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.config.settings.networks import Network
from tauopt.config.settings.networks.input_selection import (
    dropped_features,
    first_feature,
    kept_positions,
    selected_groups,
)
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, Place
from tauopt.errors import Problem, nearest

FeatureNames = Mapping[str, tuple[str, ...]]
"""Group or `candidate` -> names of its features."""


def check_model_groups(root: Node, dataset: Node) -> Iterator[Problem]:
    """Check that the dataset has the groups of a network, its default groups too.

    Args:
        root: an experiment's tree; parts of a wrong type are ignored.
        dataset: the tree of its dataset.
    """
    model = root.entries.get("model")
    if model is None or CANDIDATE not in dataset.entries:
        return
    names = list(_entries(dataset, "groups"))
    available = f"the dataset has {', '.join(names)}" if names else "the dataset has no groups"
    groups = model.entries.get("groups")
    if groups is not None:
        for name in groups.entries:
            if name not in names:
                yield groups.keys[name].problem(
                    f"model.groups: unknown group {name!r}{nearest(name, names)}; {available}"
                )
        return
    missing = [name for name in _seen_groups(model) if name not in names]
    if missing:
        yield root.keys.get("model", model.place).problem(
            f"model.groups: the default groups {', '.join(missing)} are missing, "
            f"{available}; name the groups to use"
        )


def check_model_inputs(root: Node, dataset: Node) -> Iterator[Problem]:
    """Check a network's `inputs`, `drop` and `coordinates` against its groups and the dataset.

    Args:
        root: an experiment's tree; parts of a wrong type are ignored.
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
    yield from _invalid_texts(model, "inputs", lambda text: selected_groups(text, known))
    yield from _invalid_texts(model, "drop", lambda text: _remaining(text, features))
    place = root.keys.get("model", model.place)
    for node in _texts(model, ("drop",)):
        with contextlib.suppress(ValueError):  # reported above
            yield from _coordinates(model, _remaining(str(node.value), features), place)


def _seen_groups(model: Node) -> list[str]:
    """Return the groups that a network may see: those of its `groups` that `inputs` can select."""
    known = _groups(model)
    seen: set[str] = set()
    for node in _texts(model, ("inputs",)):
        try:
            seen |= set(selected_groups(str(node.value), (CANDIDATE, *known)))
        except ValueError:
            seen |= set(known)
    return [name for name in known if name in seen]


def _groups(model: Node) -> list[str]:
    groups = model.entries.get("groups")
    if groups is None:
        groups = settings_schema.default_node(settings_schema.fields(Network, model).get("groups"))
    return list(groups.entries) if groups is not None else []


def _entries(node: Node, key: str) -> dict[str, Node]:
    return node.entries[key].entries if key in node.entries else {}


def _texts(model: Node, path: settings_schema.Path) -> list[Node]:
    """Return the texts that a setting may have: its value, those of its range, or its default."""
    node = tree.get(model, path)
    if node is None:
        default = _default(model, path)
        return [Node(default, model.place)] if isinstance(default, str) else []
    node = node.entries.get("choice", node)
    items = node.value if isinstance(node.value, tuple) else (node,)
    return [item for item in items if isinstance(item.value, str)]


def _default(model: Node, path: settings_schema.Path) -> Any:
    """Return the default of a network's setting; None if it has no such setting."""
    field = settings_schema.fields(Network, model).get(path[0])
    value = field.default if field is not None else None
    return value if len(path) == 1 else getattr(value, path[1], None)


def _invalid_texts(model: Node, key: str, parse: Callable[[str], Any]) -> Iterator[Problem]:
    """Yield a problem for each text of a setting on which `parse` raises ValueError."""
    for node in _texts(model, (key,)):
        try:
            parse(str(node.value))
        except ValueError as error:
            yield node.place.problem(f"model.{key}: {error}")


def _remaining(text: str, features: FeatureNames) -> FeatureNames:
    """Return the features without those of a `drop` text.

    Raises:
        ValueError: a group or feature is unknown, or a group has no feature left.
    """
    dropped = dropped_features(text)
    for name in dropped:
        if name not in features:
            selected_groups(name, tuple(features))  # raises, with the nearest name
    return {
        name: tuple(
            names[position] for position in kept_positions(names, dropped.get(name, ()), group=name)
        )
        for name, names in features.items()
    }


def _coordinates(model: Node, features: FeatureNames, place: Place) -> Iterator[Problem]:
    """Yield a problem for each group without a coordinate from which the network computes."""
    coordinates = _default(model, ("coordinates",))
    pairwise = model.entries.get("pairwise")
    optional = "pairwise" in settings_schema.fields(Network, model)
    if coordinates is None or (optional and (pairwise is None or pairwise.value is False)):
        return
    groups = [name for name in _seen_groups(model) if name in features]
    for key in type(coordinates).model_fields:
        for node in _texts(model, ("coordinates", key)):
            # A default has the place of the model's mapping; its key is easier to find.
            text_place = place if node.place is model.place else node.place
            for name in groups:
                try:
                    first_feature(str(node.value), features[name], group=name)
                except ValueError as error:
                    yield text_place.problem(f"model.coordinates.{key}: {error}")
