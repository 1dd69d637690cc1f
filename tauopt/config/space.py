"""Takes the ranges out of an experiment file and makes the search space of them.

The settings classes know nothing of ranges: each range is taken out of the tree, and the
values that stand for it (both ends, every choice) are validated in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tauopt.config import shape, tree
from tauopt.config.experiment import Experiment, Training
from tauopt.config.networks import Network
from tauopt.config.problems import check
from tauopt.config.range_reader import Draft, read_range
from tauopt.config.ranges import Range, candidates, contains, describe_range, same
from tauopt.config.yaml_source import Node, Place, Scalar, describe
from tauopt.errors import Problem, nearest

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
        taken = {key: _take(entry, (*path, key), drafts, problems) for key, entry in node.value.items()}  # fmt: skip  # noqa: E501
        left = {key: entry for key, entry in taken.items() if entry is not None}
        return Node(left, node.place, node.keys)
    if path[-1] == "type" or len(path) == 1:
        problems.append(node.place.problem(f"{'.'.join(path)}: can't be a range, since each type has settings of its own; write one file for each"))  # fmt: skip  # noqa: E501
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
        problems.append(node.place.problem(f"{'.'.join(path)}: ranges are allowed in model and training only; write one value"))  # fmt: skip  # noqa: E501
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


def build_space(
    taken: Taken, experiment: Experiment | None
) -> tuple[dict[str, Range], dict[str, str], list[Problem]]:
    """Look up the ranges' conditions and order the ranges so that each follows those it names.

    Args:
        taken: the tree and its ranges.
        experiment: the settings without ranges; None if they are wrong, which leaves
            conditions on fixed settings open.
    Returns:
        path -> range; path -> reason of ranges that are never active, because a setting that
        they name is fixed at another value; problems.
    """
    order, problems = _ordered(taken)
    fixed = _Fixed(taken, experiment)
    for draft in taken.drafts.values():
        problems.extend(_condition_problems(draft, taken, fixed))
    if problems:
        return {}, {}, problems
    space: dict[str, Range] = {}
    inactive: dict[str, str] = {}
    for draft in order:
        when, reason = _open_conditions(draft, space, inactive, fixed)
        if reason:
            inactive[draft.name] = reason
        else:
            space[draft.name] = replace(draft.range, when=when)
    return space, inactive, []


def _ordered(taken: Taken) -> tuple[list[Draft], list[Problem]]:
    """Sort ranges so that each follows those it names; otherwise the file's order stays."""
    done: dict[str, Draft] = {}
    problems: list[Problem] = []

    def visit(draft: Draft, waiting: tuple[str, ...]) -> None:
        if draft.name in done:
            return
        if draft.name in waiting:
            circle = " -> ".join((*waiting[waiting.index(draft.name) :], draft.name))
            problems.append(draft.place.problem(f"{draft.name}: its `when` runs in a circle: {circle}"))  # fmt: skip  # noqa: E501
            done[draft.name] = draft
            return
        for path in draft.when:
            if path in taken.drafts:
                visit(taken.drafts[path], (*waiting, draft.name))
        done.setdefault(draft.name, draft)

    if len(taken.drafts) <= MAX_RANGES:
        for draft in taken.drafts.values():
            visit(draft, ())
    return list(done.values()), problems


class _Fixed:
    """The settings that are no ranges: which there are, their values, and what they may be."""

    def __init__(self, taken: Taken, experiment: Experiment | None) -> None:
        self._taken = taken
        self._experiment = experiment
        self._known: dict[tuple[str, type, Scalar], str] = {}
        self.paths = [
            ".".join(path)
            for section, annotation in SECTIONS.items()
            for path in shape.leaves(annotation, taken.root.entries.get(section), (section,))
        ]

    def value(self, path: str) -> Scalar:
        """Return the value of a setting."""
        value: Scalar = value_at(self._experiment, path)
        return value

    def objection(self, path: str, value: Scalar) -> str:
        """Say why a setting can't take `value`; empty if it can, or if that can't be told."""
        if self._experiment is None or path.endswith(".type"):
            return ""
        key = (path, type(value), value)
        if key not in self._known:
            section, *rest = path.split(".")
            plain = getattr(self._experiment, section).model_dump()
            tree.set_plain(plain, tuple(rest), value)
            nowhere = self._taken.root.entries.get(section, self._taken.root)
            wrong = check(SECTIONS[section], plain, root=nowhere, above=(section,))[1]
            self._known[key] = wrong[0].message if wrong else ""
        return self._known[key]


def value_at(settings: Any, path: str) -> Any:
    """Return the value at a dotted path of settings and mappings."""
    for key in path.split("."):
        settings = settings[key] if isinstance(settings, dict) else getattr(settings, key)
    return settings


def _condition_problems(draft: Draft, taken: Taken, fixed: _Fixed) -> list[Problem]:
    problems = []
    for path, values in draft.when.items():
        place: Place = draft.when_places.get(path, draft.place)
        if path in taken.drafts:
            other = taken.drafts[path].range
            problems += [
                value.place.problem(
                    f"{draft.name}: when: {path} is {describe_range(other)} and never {describe(value.value)}"
                )  # fmt: skip  # noqa: E501
                for value in values
                if not contains(other, value.value)  # type: ignore[arg-type]
            ]
        elif path not in fixed.paths:
            known = [*fixed.paths, *taken.drafts]
            problems.append(place.problem(f"{draft.name}: when: there is no setting {path!r} in model or training{nearest(path, known)}"))  # fmt: skip  # noqa: E501
        else:
            for value in values:
                if objection := fixed.objection(path, value.value):  # type: ignore[arg-type]
                    problems.append(value.place.problem(f"{draft.name}: when: {objection}"))
    return problems


def _open_conditions(
    draft: Draft, space: Mapping[str, Range], inactive: Mapping[str, str], fixed: _Fixed
) -> tuple[dict[str, tuple[Scalar, ...]], str]:
    """Return the conditions that depend on other ranges, and why the range is never active."""
    when: dict[str, tuple[Scalar, ...]] = {}
    for path, nodes in draft.when.items():
        values: tuple[Scalar, ...] = tuple(node.value for node in nodes)  # type: ignore[misc]
        if path in space:
            when[path] = values
        elif path in inactive:
            return {}, f"{path} is never active"
        elif not any(same(fixed.value(path), value) for value in values):
            return {}, f"{path} is {fixed.value(path)}"
    return when, ""
