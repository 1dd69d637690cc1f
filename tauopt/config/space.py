"""Takes the ranges out of an experiment file, and checks the values that they may take.

The settings classes know nothing of ranges: each range is taken out of the tree, and the
values that stand for it (both ends, every choice) are validated in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tauopt.config import shape, tree
from tauopt.config.experiment import Experiment, Training
from tauopt.config.networks import Network
from tauopt.config.problems import check
from tauopt.config.range_reader import Draft, read_range
from tauopt.config.ranges import candidates
from tauopt.config.yaml_source import Node
from tauopt.errors import Problem

SECTIONS: Mapping[str, Any] = {"model": Network, "training": Training}
"""Where ranges may stand, and what is there."""
MAX_RANGES = 300


@dataclass(frozen=True)
class Taken:
    """An experiment's tree without its ranges, and the ranges."""

    root: Node
    """Without the ranges' keys: those settings take their defaults."""
    drafts: Mapping[str, Draft]
    problems: list[Problem]


def take_ranges(root: Node) -> Taken:
    """Take every range out of `model` and `training`; ranges elsewhere are problems."""
    drafts: dict[str, Draft] = {}
    problems: list[Problem] = []
    entries = {}
    for key, node in root.entries.items():
        annotation = shape.child(Experiment, key, root)
        if key in SECTIONS:
            left = _take(node, (key,), drafts, problems)
            entries[key] = left if left is not None else Node({}, node.place)
        else:
            entries[key] = _refuse(node, annotation, (key,), problems)
    if len(drafts) > MAX_RANGES:
        problems.append(root.place.problem(f"more than {MAX_RANGES} ranges"))
    return Taken(Node(entries, root.place, root.keys), drafts, problems)


def _take(
    node: Node, path: shape.Path, drafts: dict[str, Draft], problems: list[Problem]
) -> Node | None:
    """Return `node` without ranges; None if it is one itself."""
    if not isinstance(node.value, dict):
        return node
    if not tree.is_range(node):
        taken = {
            key: _take(entry, (*path, key), drafts, problems) for key, entry in node.value.items()
        }
        left = {key: entry for key, entry in taken.items() if entry is not None}
        return Node(left, node.place, node.keys)
    if path[-1] == "type" or len(path) == 1:
        problems.append(
            node.place.problem(
                f"{'.'.join(path)}: can't be a range, since each type has settings of "
                f"its own; write one file for each"
            )
        )
        return _stand_in(node)
    draft, more = read_range(node, path)
    problems.extend(more)
    if draft is not None:
        drafts[draft.name] = draft
    return None


def refuse_ranges(root: Node, settings: Any) -> tuple[Node, list[Problem]]:
    """Return a tree in which every range became a problem and its first value."""
    problems: list[Problem] = []
    return _refuse(root, settings, (), problems), problems


def _refuse(node: Node, annotation: Any, path: shape.Path, problems: list[Problem]) -> Node:
    """Return `node` with each range in it made a problem and replaced by its first value."""
    if not isinstance(node.value, dict):
        return node
    if tree.is_range(node) and shape.of_mapping(annotation) is None:
        problems.append(
            node.place.problem(
                f"{'.'.join(path)}: ranges are allowed in model and training only; write one value"
            )
        )
        return _stand_in(node)
    entries = {
        key: _refuse(entry, shape.child(annotation, key, node), (*path, key), problems)
        for key, entry in node.value.items()
    }
    return Node(entries, node.place, node.keys)


def _stand_in(node: Node) -> Node:
    values = next((node.entries[kind] for kind in tree.KINDS if kind in node.entries), node)
    return values.value[0] if isinstance(values.value, tuple) and values.value else values


def check_candidates(root: Node, taken: Taken) -> list[Problem]:
    """Validate the values that stand for each range, at the range's place.

    Args:
        root: the tree with its ranges, for the places.
        taken: the same without them.
    """
    problems: list[Problem] = []
    values = {draft.path: candidates(draft.range) for draft in taken.drafts.values()}
    for turn in range(max(map(len, values.values()), default=0)):
        for section, annotation in SECTIONS.items():
            plain = section_plain(taken.root, section)
            for path, choices in values.items():
                if path[0] == section:
                    tree.set_plain(plain, path[1:], choices[min(turn, len(choices) - 1)])
            here = root.entries.get(section, root)
            problems.extend(check(annotation, plain, root=here, above=(section,))[1])
    return problems


def section_plain(root: Node, section: str) -> Any:
    """Return a section of a tree as new dicts; empty where the file has none."""
    node = root.entries.get(section)
    return {} if node is None else node.plain()
