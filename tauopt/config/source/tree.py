"""Operations on trees of nodes: look up, replace, merge, remove; the given trees stay unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tauopt.config.source.yaml_source import Node
from tauopt.errors import Problem, nearest

KINDS = ("int", "float", "choice")
"""The keys that make a mapping a range."""

_REMOVABLE = ("samples", "classes", "cuts", "candidate", "groups", "spectators")
"""Parts of a dataset whose entries `null` removes."""


def is_range(node: Node) -> bool:
    """Return whether a node is a range: it has the key of a kind, and no mapping under it."""
    return any(
        kind in node.entries and not isinstance(node.entries[kind].value, dict) for kind in KINDS
    )


def get(node: Node, path: tuple[str, ...]) -> Node | None:
    """Return the node at `path`; None if there is none."""
    for key in path:
        if (below := node.entries.get(key)) is None:
            return None
        node = below
    return node


def put(node: Node, path: tuple[str, ...], value: Node) -> Node:
    """Return `node` with `value` at `path`; anything but a mapping on the way becomes one."""
    if not path:
        return value
    key = path[0]
    before = node.entries.get(key, Node({}, value.place))
    entries = {**node.entries, key: put(before, path[1:], value)}
    return Node(entries, node.place, {key: value.place, **node.keys})


def without(node: Node, *path: str) -> Node:
    """Return `node` without the entry at `path`; all but the path's last key must exist."""
    key, *below = path
    if below:
        entries = {**node.entries, key: without(node.entries[key], *below)}
    else:
        entries = {name: entry for name, entry in node.entries.items() if name != key}
    return Node(entries, node.place, node.keys)


def merge(base: Node, over: Node, *, types_replace: tuple[str, ...] = ()) -> Node:
    """Merge `over` into `base`: mappings deeply, everything else (lists and ranges too) replaced.

    Args:
        base: the tree of the extended file.
        over: the tree of the file that extends it.
        types_replace: keys whose mapping is replaced as a whole if the two differ in `type`, or if
            one has `type` and the other `any`: the settings of one type mean nothing to another.
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


def _types_differ(base: Node, over: Node) -> bool:
    types = [
        {} if "any" in node.entries else node.entries["type"].value  # {} differs from every type
        for node in (base, over)
        if "type" in node.entries or "any" in node.entries
    ]
    return len(types) == 2 and types[0] != types[1]


def remove_nulls(base: Node, over: Node) -> tuple[Node, Node, list[Problem]]:
    """Remove from both trees the entries that `over` sets to null.

    Only named parts of a dataset (a cut, a feature, a group, ...), class weights and architectures
    of `any` can be removed. A single setting can't, since null may be one of its values.

    Args:
        base: the tree of the extended file, a dataset or an experiment with a dataset in it.
        over: the tree of the file that extends it.
    Returns:
        both trees, and a problem for each null whose entry `base` doesn't have.
    """
    problems = []
    datasets = [node.entries["data"] for node in (base, over) if "data" in node.entries]
    # A dataset with its own `extends` is merged later, and its nulls are removed then.
    extends_later = any("extends" in dataset.entries for dataset in datasets)
    roots: list[tuple[str, ...]] = [()] if extends_later else [(), ("data",)]
    nulls = [path for root in roots for path in _dataset_nulls(over, root)]
    for parent in (("training", "class_weights"), ("model", "any")):
        nulls += _nulls_below(over, parent)
    for path in nulls:
        before = get(base, path[:-1])
        names = list(before.entries) if before is not None else []
        if path[-1] in names:
            base = without(base, *path)
        else:
            place = get(over, path[:-1]).keys[path[-1]]  # type: ignore[union-attr]
            problems.append(
                place.problem(
                    f"{'.'.join(path)}: the extended file has nothing of this name to remove"
                    f"{nearest(path[-1], names)}"
                )
            )
        over = without(over, *path)
    return base, over, problems


def _dataset_nulls(over: Node, root: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for part in _REMOVABLE:
        yield from _nulls_below(over, (*root, part))
    groups = get(over, (*root, "groups"))
    for name in groups.entries if groups is not None else ():
        yield from _nulls_below(over, (*root, "groups", name, "features"))


def _nulls_below(over: Node, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    part = get(over, path)
    for name, node in part.entries.items() if part is not None else ():
        if node.value is None:
            yield (*path, name)


def set_plain(plain: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set `value` at `path` of nested dicts, in place; all but the path's last key must exist."""
    for key in path[:-1]:
        plain = plain[key]
    plain[path[-1]] = value
