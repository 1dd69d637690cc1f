"""Takes the ranges out of an experiment file, and checks the values that they may take.

The settings classes know nothing of ranges: each range is taken out of the tree, and the
values that stand for it (both ends, every choice) are validated in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tauopt.config.settings import settings_schema
from tauopt.config.settings.experiment import Experiment, Training
from tauopt.config.settings.networks import Network
from tauopt.config.settings.networks.hypermodel import Hyperparameter
from tauopt.config.settings.problems import MAX_PROBLEMS, check
from tauopt.config.settings.range_reader import Draft, read_range
from tauopt.config.settings.ranges import FloatRange, candidates
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node
from tauopt.errors import Problem

SECTIONS: Mapping[str, Any] = {"model": Network, "training": Training}
"""Where ranges may stand, and what is there."""
MAX_RANGES = 300
_NO_RANGE = (
    "can't be a range, types have settings of their own; write model: {any: {rnn: {...}, "
    "deepsets: {...}}}"
)


@dataclass(frozen=True)
class ExtractedRanges:
    """An experiment's tree without its ranges, and the ranges."""

    root: Node
    """Without the ranges' keys: those settings take their defaults."""
    drafts: Mapping[str, Draft]
    problems: list[Problem]


def take_ranges(root: Node) -> ExtractedRanges:
    """Take every range out of `model` and `training`; ranges elsewhere are problems."""
    taken = _Taking()
    entries = {}
    for key, node in root.entries.items():
        annotation = settings_schema.child(Experiment, key, root)
        if key in SECTIONS:
            left = _take(node, annotation, (key,), taken)
            entries[key] = left if left is not None else Node({}, node.place)
        else:
            entries[key] = _refuse(node, annotation, (key,), taken.problems)
    if len(taken.drafts) > MAX_RANGES:
        taken.wrong(root, f"more than {MAX_RANGES} ranges")
        taken.drafts.clear()
    return ExtractedRanges(Node(entries, root.place, root.keys), taken.drafts, taken.problems)


def _take(node: Node, annotation: Any, path: settings_schema.Path, taken: _Taking) -> Node | None:
    """Return `node` without ranges; None if it is one itself.

    Ranges of a model's own hyperparameters stay: what they are of is known when it is built.
    """
    if annotation == Hyperparameter:
        return taken.narrowed(node, path)
    if not isinstance(node.value, dict) or annotation is None:
        return node
    if tree.is_range(node) and settings_schema.of_mapping(annotation) != Hyperparameter:
        taken.range(node, annotation, path)
        return None
    if (chosen := node.entries.get("type")) is not None and tree.is_range(chosen):
        name = ".".join((*path, "type"))
        taken.wrong(chosen, f"{name}: {_NO_RANGE}")
        node = tree.put(node, ("type",), _stand_in(chosen))
    left = {}
    for key, entry in node.entries.items():
        following = _take(entry, settings_schema.child(annotation, key, node), (*path, key), taken)
        if following is not None:
            left[key] = following
    return Node(left, node.place, node.keys)


class _Taking:
    """Collects ranges and what is wrong with them."""

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.problems: list[Problem] = []

    def wrong(self, node: Node, message: str) -> None:
        self.problems.append(node.place.problem(message))

    def range(self, node: Node, annotation: Any, path: settings_schema.Path) -> None:
        """Take the range that stands at `path`."""
        name = ".".join(path)
        if not settings_schema.is_scalar(annotation):
            self.wrong(node, f"{name}: a range may stand in place of a single value only")
            return
        draft, problems = read_range(node, path)
        self.problems.extend(problems)
        if draft is None:
            return
        if isinstance(draft.range, FloatRange) and settings_schema.inner(annotation) is int:
            self.wrong(node, f"{name}: expected whole numbers; write {{int: [low, high]}}")
        else:
            self.drafts[name] = draft

    def narrowed(self, node: Node, path: settings_schema.Path) -> Node | None:
        """Check a range that narrows a hyperparameter of the user's own model."""
        if not tree.is_range(node):
            return node
        draft, problems = read_range(node, path)
        self.problems.extend(problems)
        if draft is not None and draft.when:
            message = "the model itself says when it asks for this; leave `when` out"
            self.wrong(node.entries["when"], f"{'.'.join(path)}: {message}")
        return None if problems else node


def refuse_ranges(root: Node, settings: Any) -> tuple[Node, list[Problem]]:
    """Return a tree in which every range became a problem and its first value."""
    problems: list[Problem] = []
    return _refuse(root, settings, (), problems), problems


def _refuse(
    node: Node, annotation: Any, path: settings_schema.Path, problems: list[Problem]
) -> Node:
    """Return `node` with each range in it made a problem and replaced by its first value."""
    if not isinstance(node.value, dict):
        return node
    if tree.is_range(node) and settings_schema.of_mapping(annotation) is None:
        problems.append(
            node.place.problem(
                f"{'.'.join(path)}: ranges are allowed in model and training only; write one value"
            )
        )
        return _stand_in(node)
    entries = {
        key: _refuse(entry, settings_schema.child(annotation, key, node), (*path, key), problems)
        for key, entry in node.value.items()
    }
    return Node(entries, node.place, node.keys)


def _stand_in(node: Node) -> Node:
    values = next((node.entries[kind] for kind in tree.KINDS if kind in node.entries), node)
    return values.value[0] if isinstance(values.value, tuple) and values.value else values


def check_candidates(root: Node, taken: ExtractedRanges) -> list[Problem]:
    """Validate the values that stand for each range, at the range's place.

    Args:
        root: the tree with its ranges, for the places.
        taken: the same without them.
    """
    problems: list[Problem] = []
    values = {draft.path: candidates(draft.range) for draft in taken.drafts.values()}
    for turn in range(max(map(len, values.values()), default=0)):
        if len(problems) >= MAX_PROBLEMS:
            break
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
