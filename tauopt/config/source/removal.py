"""Takes out of an extended file what the file on it sets to `null`: a cut, a feature, a group.

Only the named parts of a dataset can be removed, class weights, and architectures of `any`. A
single setting can't, since none may be one of its values.
"""

from __future__ import annotations

from collections.abc import Iterator

from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node
from tauopt.errors import Problem, nearest

_PARTS = ("samples", "classes", "cuts", "candidate", "groups", "spectators")


def remove_nulls(base: Node, over: Node) -> tuple[Node, Node, list[Problem]]:
    """Remove what `over` sets to null from both trees.

    Args:
        base: what is extended, a dataset or an experiment with one in it.
        over: what extends it.
    Returns:
        both trees, and a problem for each thing that `base` doesn't have.
    """
    problems = []
    roots: list[tuple[str, ...]] = [(), *([("data",)] if not _extends_later(base, over) else [])]
    nulls = [path for root in roots for path in _nulls(over, root)]
    others = (("training", "class_weights"), ("model", "any"))
    for path in [*nulls, *(path for above in others for path in _nulls_of(over, above))]:
        before = tree.get(base, path[:-1])
        names = list(before.entries) if before is not None else []
        if path[-1] in names:
            base = _without(base, path)
        else:
            place = tree.get(over, path[:-1]).keys[path[-1]]  # type: ignore[union-attr]
            problems.append(
                place.problem(
                    f"{'.'.join(path)}: the extended file has nothing of this name to remove"
                    f"{nearest(path[-1], names)}"
                )
            )
        over = _without(over, path)
    return base, over, problems


def _extends_later(base: Node, over: Node) -> bool:
    """Say whether an experiment's dataset extends a file in turn, which is read after this."""
    data = [node.entries["data"] for node in (base, over) if "data" in node.entries]
    return any("extends" in node.entries for node in data)


def _nulls(over: Node, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for part in _PARTS:
        yield from _nulls_of(over, (*above, part))
    groups = tree.get(over, (*above, "groups"))
    for name in groups.entries if groups is not None else ():
        yield from _nulls_of(over, (*above, "groups", name, "features"))


def _nulls_of(over: Node, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    part = tree.get(over, path)
    for name, node in part.entries.items() if part is not None else ():
        if node.value is None:
            yield (*path, name)


def _without(node: Node, path: tuple[str, ...]) -> Node:
    """Return `node` without what stands at `path`, which is there."""
    if len(path) == 1:
        return tree.without(node, path[0])
    below = _without(node.entries[path[0]], path[1:])
    return Node({**node.entries, path[0]: below}, node.place, node.keys)
