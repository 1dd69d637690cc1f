"""Overrides of a file's values from the command line: `--set path=value`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tauopt.config.settings import settings_schema
from tauopt.config.settings.networks import Network
from tauopt.config.source import tree
from tauopt.config.source.compose import with_dataset
from tauopt.config.source.yaml_source import OVERRIDE, Node, Place, describe, parse_yaml
from tauopt.config.space.any_architecture import (
    ANY,
    TYPES,
    architecture,
    is_any,
    select_architecture,
)
from tauopt.errors import ConfigError, Problem, nearest


def override(root: Node, settings: Any, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """Apply `PATH=VALUE` overrides to a tree, in order.

    Args:
        root: the file's tree.
        settings: the settings class of the whole file, which defines the valid paths.
        overrides: a dotted path and a YAML value each; the value may be a range.
    Returns:
        The tree, and a problem for each override that could not be applied.
    """
    problems: list[Problem] = []
    for text in overrides:
        try:
            root = _overridden(root, settings, text)
        except ConfigError as error:
            problems.extend(error.problems)
    return root, problems


def _overridden(root: Node, settings: Any, text: str) -> Node:
    place = Place(OVERRIDE + text)
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError([place.problem("expected PATH=VALUE, for instance training.epochs=5")])
    parsed, problems = parse_yaml(value, file=place.file)
    keys = tuple(path.strip().split("."))
    if keys[0] == "data" and len(keys) > 1:
        # The dataset file must be in the tree before a part of it can be replaced.
        root, dataset_problems = with_dataset(root)
        problems = [*problems, *dataset_problems]
    if problems:
        raise ConfigError(problems)
    new, model = _moved(parsed, place), root.entries.get("model")
    if model is None or not is_any(model) or keys[0] != "model" or len(keys) == 1:
        return _put(settings, root, keys, value=new, above=())
    if keys != ("model", "type") or str(new.value) not in model.entries[ANY].entries:
        return tree.put(root, ("model",), _put_in_any(model, keys[1:], new))
    root, problems = select_architecture(root, str(new.value))
    if problems:
        raise ConfigError(problems)
    return root


def _put(
    annotation: Any,
    node: Node | None,
    keys: settings_schema.Path,
    *,
    value: Node,
    above: settings_schema.Path,
) -> Node:
    """Return `node` with `value` at `keys`, each of which must be a key of the annotation.

    Raises:
        ConfigError: there is no such setting.
    """
    if not keys:
        return value
    is_mapping = node is not None and isinstance(node.value, dict) and not tree.is_range(node)
    mapping = node if node is not None and is_mapping else Node({}, value.place)
    key = keys[0]
    child = settings_schema.child(annotation, key, mapping)
    if child is None:
        raise ConfigError([value.place.problem(_unknown(annotation, mapping, (*above, key)))])
    below = mapping.entries.get(key)
    if below is None:
        # So that an override of one default group keeps the others.
        below = settings_schema.default_node(settings_schema.fields(annotation, mapping).get(key))
    entry = _put(child, below, keys[1:], value=value, above=(*above, key))
    entries = {**mapping.entries, key: entry}
    return Node(entries, mapping.place, {key: value.place, **mapping.keys})


def _put_in_any(model: Node, keys: settings_schema.Path, value: Node) -> Node:
    """Return a model of several architectures with `value` at `keys` of one of them.

    `keys` may begin with `any` or with the type.
    """
    types = model.entries[ANY].entries
    if keys == (ANY,):
        return tree.put(model, keys, value)
    type_, *rest = keys[1:] if keys[0] == ANY else keys
    # With `any`, an override may add an architecture.
    if type_ not in (TYPES if keys[0] == ANY else types):
        raise ConfigError([value.place.problem(_no_architecture(types, keys, value))])
    path = (ANY, type_, *rest)
    if not rest or rest == ["type"]:
        return tree.put(model, path, value)
    with_architecture = tree.put(model, path[:2], types.get(type_, Node({}, value.place)))
    ordinary = architecture(with_architecture, type_)
    overridden = _put(Network, ordinary, tuple(rest), value=value, above=("model", type_))
    return tree.put(model, path[:2], tree.without(overridden, "type"))


def _no_architecture(types: Iterable[str], keys: settings_schema.Path, value: Node) -> str:
    name, listed = ".".join(("model", *keys)), list(TYPES if keys[0] == ANY else types)
    if keys == ("type",) or keys[0] == ANY:
        given = value.plain() if keys == ("type",) else keys[1]
        message = f"expected one of {', '.join(listed)}, got {describe(given)}"
        return f"{name}: {message}{nearest(str(given), listed)}"
    alternatives = " or ".join(f"model.{type_}.{'.'.join(keys)}" for type_ in listed)
    return f"there is no setting {name!r}: each architecture has its own; write {alternatives}"


def _unknown(annotation: Any, node: Node, path: settings_schema.Path) -> str:
    above, name = ".".join(path[:-1]), ".".join(path)
    known = list(settings_schema.fields(annotation, node))
    if not known and settings_schema.by_type(annotation):
        return f"{name}: {above}.type must be set first"
    if not known:
        return f"{name}: {above} is a single value and has no keys"
    return f"there is no setting {name!r}{nearest(path[-1], known)}; known: {', '.join(known)}"


def _moved(node: Node, place: Place) -> Node:
    """Return a tree with every node at `place`: an override has no lines and columns."""
    if isinstance(node.value, dict):
        entries = {key: _moved(entry, place) for key, entry in node.value.items()}
        return Node(entries, place, dict.fromkeys(entries, place))
    if isinstance(node.value, tuple):
        return Node(tuple(_moved(item, place) for item in node.value), place)
    return Node(node.value, place)
