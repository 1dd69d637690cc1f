"""Extraction of the ranges from an experiment file, and validation of their values.

The settings classes know no ranges: each range is taken out of the tree, and its candidate values
(both ends, or every choice) are validated in its place.
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
"""Section that may hold ranges -> its annotation."""
MAX_RANGES = 300
"""Most ranges of an experiment."""
_NO_RANGE = (
    "can't be a range, since each type has its own settings; write model: {any: {rnn: {...}, "
    "deepsets: {...}}}"
)


@dataclass(frozen=True)
class ExtractedRanges:
    """An experiment's tree without its ranges, the ranges, and their problems."""

    root: Node
    """The tree without the ranges' keys, so that those settings take their defaults."""
    drafts: Mapping[str, Draft]
    """Path -> range."""
    problems: list[Problem]


def extract_ranges(root: Node) -> ExtractedRanges:
    """Take every range out of `model` and `training`; ranges elsewhere are problems."""
    extraction = _Extraction()
    entries = {}
    for key, node in root.entries.items():
        annotation = settings_schema.child(Experiment, key, root)
        if key in SECTIONS:
            fixed = _without_ranges(node, annotation, (key,), extraction)
            entries[key] = fixed if fixed is not None else Node({}, node.place)
        else:
            entries[key] = _refuse(node, annotation, (key,), extraction.problems)
    drafts, problems = extraction.drafts, extraction.problems
    if len(drafts) > MAX_RANGES:
        message = f"expected at most {MAX_RANGES} ranges, got {len(drafts)}; fix some settings"
        problems.append(root.place.problem(message))
        drafts.clear()
    return ExtractedRanges(Node(entries, root.place, root.keys), drafts, problems)


def _without_ranges(
    node: Node, annotation: Any, path: settings_schema.Path, extraction: _Extraction
) -> Node | None:
    """Return `node` without its ranges, which `extraction` collects; None if it is a range itself.

    Ranges of an own model's hyperparameters stay: their types are known when it is built.
    """
    if annotation == Hyperparameter:
        return extraction.check_hyperparameter(node, path)
    if not isinstance(node.value, dict) or annotation is None:
        return node
    # Among an own model's hyperparameters, `int` or `choice` may be a name.
    if tree.is_range(node) and settings_schema.mapping_values(annotation) != Hyperparameter:
        extraction.add(node, annotation, path)
        return None
    if (type_ := node.entries.get("type")) is not None and tree.is_range(type_):
        name = ".".join((*path, "type"))
        extraction.problems.append(type_.place.problem(f"{name}: {_NO_RANGE}"))
        node = tree.put(node, ("type",), _first_value(type_))
    entries = {}
    for key, entry in node.entries.items():
        child = settings_schema.child(annotation, key, node)
        fixed = _without_ranges(entry, child, (*path, key), extraction)
        if fixed is not None:
            entries[key] = fixed
    return Node(entries, node.place, node.keys)


class _Extraction:
    """Collects ranges and their problems."""

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.problems: list[Problem] = []

    def add(self, node: Node, annotation: Any, path: settings_schema.Path) -> None:
        """Add the range at `path`, or its problems."""
        name = ".".join(path)
        if not settings_schema.is_scalar(annotation):
            message = f"{name}: a range is allowed in place of a single value only"
            self.problems.append(node.place.problem(message))
            return
        draft, problems = read_range(node, path)
        self.problems.extend(problems)
        if draft is None:
            return
        if isinstance(draft.range, FloatRange) and settings_schema.unwrapped(annotation) is int:
            message = f"{name}: expected whole numbers; write {{int: [low, high]}}"
            self.problems.append(node.place.problem(message))
        else:
            self.drafts[name] = draft

    def check_hyperparameter(self, node: Node, path: settings_schema.Path) -> Node | None:
        """Return a hyperparameter of an own model; None if it is a range with problems."""
        if not tree.is_range(node):
            return node
        draft, problems = read_range(node, path)
        self.problems.extend(problems)
        if draft is not None and draft.when:
            message = "the model itself decides when a hyperparameter is active; leave `when` out"
            place = node.entries["when"].place
            self.problems.append(place.problem(f"{'.'.join(path)}: {message}"))
        return None if problems else node


def refuse_ranges(root: Node, settings: Any) -> tuple[Node, list[Problem]]:
    """Replace every range in a tree by its first value, and return a problem for each."""
    problems: list[Problem] = []
    return _refuse(root, settings, (), problems), problems


def _refuse(
    node: Node, annotation: Any, path: settings_schema.Path, problems: list[Problem]
) -> Node:
    if not isinstance(node.value, dict):
        return node
    # In a mapping with free keys, `int` or `choice` may be a name.
    if tree.is_range(node) and settings_schema.mapping_values(annotation) is None:
        message = "ranges are allowed in model and training only; write one value"
        problems.append(node.place.problem(f"{'.'.join(path)}: {message}"))
        return _first_value(node)
    entries = {
        key: _refuse(entry, settings_schema.child(annotation, key, node), (*path, key), problems)
        for key, entry in node.value.items()
    }
    return Node(entries, node.place, node.keys)


def _first_value(range_: Node) -> Node:
    values = next((range_.entries[kind] for kind in tree.KINDS if kind in range_.entries), range_)
    return values.value[0] if isinstance(values.value, tuple) and values.value else values


def check_candidates(root: Node, extracted: ExtractedRanges) -> list[Problem]:
    """Validate the candidate values of each range, both ends or every choice.

    Args:
        root: the tree with its ranges, for the places.
        extracted: the tree without its ranges, and the ranges.
    """
    problems: list[Problem] = []
    values = {draft.path: candidates(draft.range) for draft in extracted.drafts.values()}
    # The n-th candidates of all ranges are validated together, which bounds the number of passes.
    for turn in range(max(map(len, values.values()), default=0)):
        if len(problems) >= MAX_PROBLEMS:
            break
        for section, annotation in SECTIONS.items():
            plain = section_plain(extracted.root, section)
            for path, choices in values.items():
                if path[0] == section:
                    tree.set_plain(plain, path[1:], choices[min(turn, len(choices) - 1)])
            section_root = root.entries.get(section, root)
            problems.extend(check(annotation, plain, root=section_root, above=(section,))[1])
    return problems


def section_plain(root: Node, section: str) -> Any:
    """Return a section of a tree as new dicts; empty if the file has none."""
    node = root.entries.get(section)
    return {} if node is None else node.plain()
