"""`--set path=value`: values laid on a file from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tauopt.config.settings import settings_schema
from tauopt.config.settings.networks import Network
from tauopt.config.source import tree
from tauopt.config.source.compose import with_dataset
from tauopt.config.source.yaml_source import OVERRIDE, Node, Place, describe, parse_yaml
from tauopt.config.space.any_architecture import ANY, TYPES, architecture, is_any, only
from tauopt.errors import ConfigError, Problem, nearest


def override(root: Node, settings: Any, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """Lay `PATH=VALUE` overrides on a tree, in order.

    Args:
        root: the file's tree.
        settings: the class that says which paths there are.
        overrides: each a path of keys joined by dots, and a YAML value; it may be a range.
    Returns:
        The tree, and a problem for each override that could not be laid on.
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
        root, more = with_dataset(root)
        problems = [*problems, *more]
    if problems:
        raise ConfigError(problems)
    placed, model = _placed(parsed, place), root.entries.get("model")
    if model is None or not is_any(model) or keys[0] != "model" or len(keys) == 1:
        return _put(settings, root, keys, value=placed, above=())
    if keys != ("model", "type") or str(placed.value) not in model.entries[ANY].entries:
        return tree.put(root, ("model",), _put_in_any(model, keys[1:], placed))
    root, problems = only(root, str(placed.value))
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
    """Return `node` with `value` at `keys`; every key must be known where it stands."""
    if not keys:
        return value
    is_mapping = node is not None and isinstance(node.value, dict) and not tree.is_range(node)
    here = node if node is not None and is_mapping else Node({}, value.place)
    key = keys[0]
    following = settings_schema.child(annotation, key, here)
    if following is None:
        raise ConfigError([value.place.problem(_unknown(annotation, here, (*above, key)))])
    below = here.entries.get(key)
    if below is None:
        below = settings_schema.default_node(settings_schema.fields(annotation, here).get(key))
    set_ = _put(following, below, keys[1:], value=value, above=(*above, key))
    return Node({**here.entries, key: set_}, here.place, {key: value.place, **here.keys})


def _put_in_any(model: Node, keys: settings_schema.Path, value: Node) -> Node:
    """Return a model of several architectures with `value` at `keys` of one of them.

    `any` before a type may be left out.
    """
    types = model.entries[ANY].entries
    if keys == (ANY,):
        return tree.put(model, keys, value)
    type_, *rest = keys[1:] if keys[0] == ANY else keys
    if type_ not in (TYPES if keys[0] == ANY else types):
        raise ConfigError([value.place.problem(_no_architecture(types, keys, value))])
    path = (ANY, type_, *rest)
    if not rest or rest == ["type"]:
        return tree.put(model, path, value)
    whole = tree.put(model, path[:2], types.get(type_, Node({}, value.place)))
    put = _put(
        Network, architecture(whole, type_), tuple(rest), value=value, above=("model", type_)
    )
    return tree.put(model, path[:2], tree.without(put, "type"))


def _no_architecture(types: Iterable[str], keys: settings_schema.Path, value: Node) -> str:
    name, listed = ".".join(("model", *keys)), list(TYPES if keys[0] == ANY else types)
    if keys == ("type",) or keys[0] == ANY:
        given = value.plain() if keys == ("type",) else keys[1]
        message = f"expected one of {', '.join(listed)}, got {describe(given)}"
        return f"{name}: {message}{nearest(str(given), listed)}"
    instead = " or ".join(f"model.{type_}.{'.'.join(keys)}" for type_ in listed)
    return f"there is no setting {name!r}: each architecture has its own, as {instead}"


def _unknown(annotation: Any, node: Node, path: settings_schema.Path) -> str:
    above, name = ".".join(path[:-1]), ".".join(path)
    known = list(settings_schema.fields(annotation, node))
    if not known and settings_schema.by_type(annotation):
        return f"{name}: {above}.type must be set first"
    if not known:
        return f"{name}: {above} is a single value and has no keys"
    return f"there is no setting {name!r}{nearest(path[-1], known)}; known: {', '.join(known)}"


def _placed(node: Node, place: Place) -> Node:
    """Return a tree whose every node stands at one place."""
    if isinstance(node.value, dict):
        entries = {key: _placed(entry, place) for key, entry in node.value.items()}
        return Node(entries, place, dict.fromkeys(entries, place))
    if isinstance(node.value, tuple):
        return Node(tuple(_placed(item, place) for item in node.value), place)
    return Node(node.value, place)
