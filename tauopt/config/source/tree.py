"""Trees of nodes: look up, replace and merge, without changing the ones given."""

from __future__ import annotations

from typing import Any

from tauopt.config.source.yaml_source import Node

KINDS = ("int", "float", "choice")
"""The keys that make a mapping a range."""


def is_range(node: Node) -> bool:
    """Say whether a node stands for a range: it has a kind's key, and no mapping under it."""
    return any(
        kind in node.entries and not isinstance(node.entries[kind].value, dict) for kind in KINDS
    )


def get(node: Node, path: tuple[str, ...]) -> Node | None:
    """Return the node at `path`; None if there is none."""
    for key in path:
        if (following := node.entries.get(key)) is None:
            return None
        node = following
    return node


def put(node: Node, path: tuple[str, ...], value: Node) -> Node:
    """Return `node` with `value` at `path`; what is no mapping on the way becomes one."""
    if not path:
        return value
    key = path[0]
    before = node.entries.get(key, Node({}, value.place))
    entries = {**node.entries, key: put(before, path[1:], value)}
    return Node(entries, node.place, {key: value.place, **node.keys})


def without(node: Node, key: str) -> Node:
    """Return a mapping without `key`."""
    entries = {name: entry for name, entry in node.entries.items() if name != key}
    return Node(entries, node.place, node.keys)


def merge(base: Node, over: Node, *, types_replace: tuple[str, ...] = ()) -> Node:
    """Lay `over` on `base`: mappings deeply, everything else (lists and ranges too) replaced.

    Args:
        base: what is extended.
        over: what extends it.
        types_replace: keys whose mapping is replaced when the two differ in `type`, or when one
            has a `type` and the other `any` of several: the settings of one type mean nothing to
            another.
    """
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if is_range(base) or is_range(over):
        return over
    entries = dict(base.entries)
    for key, node in over.entries.items():
        before = entries.get(key)
        replaced = before is None or (key in types_replace and _types_differ(before, node))
        entries[key] = node if before is None or replaced else merge(before, node)
    return Node(entries, over.place, {**base.keys, **over.keys})


def _types_differ(one: Node, other: Node) -> bool:
    types = [
        {} if "any" in node.entries else node.entries["type"].value
        for node in (one, other)
        if "type" in node.entries or "any" in node.entries
    ]
    return len(types) == 2 and types[0] != types[1]


def set_plain(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put `value` at `path` of nested dicts, in place; the mappings on the way must be there."""
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value
