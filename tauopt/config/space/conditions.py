"""Makes the search space of an experiment's ranges: looks up and orders their conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tauopt.config.settings import settings_schema
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.problems import MAX_PROBLEMS, check
from tauopt.config.settings.range_reader import Draft
from tauopt.config.settings.ranges import Range, contains, describe_range, same
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Place, Scalar, describe
from tauopt.config.space.range_extraction import MAX_RANGES, SECTIONS, ExtractedRanges
from tauopt.errors import Problem, nearest


def build_space(
    taken: ExtractedRanges, experiment: Experiment | None
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
    if problems or experiment is None:
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


def _ordered(taken: ExtractedRanges) -> tuple[list[Draft], list[Problem]]:
    """Sort ranges so that each follows those it names; otherwise the file's order stays."""
    done: dict[str, Draft] = {}
    problems: list[Problem] = []

    def visit(draft: Draft, waiting: tuple[str, ...]) -> None:
        if draft.name in done:
            return
        if draft.name in waiting:
            circle = " -> ".join((*waiting[waiting.index(draft.name) :], draft.name))
            problems.append(
                draft.place.problem(f"{draft.name}: its `when` runs in a circle: {circle}")
            )
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

    def __init__(self, taken: ExtractedRanges, experiment: Experiment | None) -> None:
        self._taken = taken
        self._experiment = experiment
        self._known: dict[tuple[str, type, Scalar], str] = {}
        self.paths = [
            ".".join(path)
            for section, annotation in SECTIONS.items()
            for path in settings_schema.leaves(
                annotation, taken.root.entries.get(section), (section,)
            )
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
    """Return the value at a dotted path of settings and mappings; None below a part left out.

    Single values by name are factors on what is named: 1 where none is given.
    """
    for key in path.split("."):
        if settings is None:
            return None
        settings = settings.get(key, 1.0) if isinstance(settings, dict) else getattr(settings, key)
    return settings


def _condition_problems(draft: Draft, taken: ExtractedRanges, fixed: _Fixed) -> list[Problem]:
    problems = []
    for path, values in draft.when.items():
        place: Place = draft.when_places.get(path, draft.place)
        if path in taken.drafts:
            other = taken.drafts[path].range
            never = f"{draft.name}: when: {path} is {describe_range(other)} and never "
            problems += [
                value.place.problem(never + describe(value.value))
                for value in values
                if not contains(other, value.value)  # type: ignore[arg-type]
            ]
        elif path not in fixed.paths:
            known = [*fixed.paths, *taken.drafts]
            message = f"there is no setting {path!r} in model or training{nearest(path, known)}"
            problems.append(place.problem(f"{draft.name}: when: {message}"))
        else:
            for value in values:
                if len(problems) >= MAX_PROBLEMS:
                    break
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
