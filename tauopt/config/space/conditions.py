"""Construction of the search space: resolves the ranges' conditions and orders the ranges."""

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
    extracted: ExtractedRanges, experiment: Experiment | None
) -> tuple[dict[str, Range], dict[str, str], list[Problem]]:
    """Resolve the ranges' conditions and order the ranges so that each follows its conditions.

    Args:
        extracted: the tree and its ranges.
        experiment: the settings without ranges; None if they are wrong, which leaves
            conditions on fixed settings unchecked.
    Returns:
        path -> range; path -> reason, for ranges that are never active, because a setting in their
        conditions is fixed at another value; problems.
    """
    ordered, problems = _ordered(extracted)
    fixed = _FixedSettings(extracted, experiment)
    for draft in extracted.drafts.values():
        problems.extend(_condition_problems(draft, extracted, fixed))
    if problems or experiment is None:
        return {}, {}, problems
    space: dict[str, Range] = {}
    inactive: dict[str, str] = {}
    for draft in ordered:
        when, reason = _open_conditions(draft, space, inactive, fixed)
        if reason:
            inactive[draft.name] = reason
        else:
            space[draft.name] = replace(draft.range, when=when)
    return space, inactive, []


def _ordered(extracted: ExtractedRanges) -> tuple[list[Draft], list[Problem]]:
    """Sort ranges topologically, each after its conditions; otherwise in the file's order."""
    ordered: dict[str, Draft] = {}
    problems: list[Problem] = []

    def visit(draft: Draft, waiting: tuple[str, ...]) -> None:
        if draft.name in ordered:
            return
        if draft.name in waiting:
            circle = " -> ".join((*waiting[waiting.index(draft.name) :], draft.name))
            problems.append(draft.place.problem(f"{draft.name}: its `when` is circular: {circle}"))
            ordered[draft.name] = draft
            return
        for path in draft.when:
            if path in extracted.drafts:
                visit(extracted.drafts[path], (*waiting, draft.name))
        ordered.setdefault(draft.name, draft)

    if len(extracted.drafts) <= MAX_RANGES:
        for draft in extracted.drafts.values():
            visit(draft, ())
    return list(ordered.values()), problems


class _FixedSettings:
    """The settings that are not ranges: their paths, values, and objections to other values."""

    def __init__(self, extracted: ExtractedRanges, experiment: Experiment | None) -> None:
        self._root = extracted.root
        self._experiment = experiment
        self._objections: dict[tuple[str, type, Scalar], str] = {}
        self.paths = [
            ".".join(path)
            for section, annotation in SECTIONS.items()
            for path in settings_schema.leaves(
                annotation, self._root.entries.get(section), (section,)
            )
        ]

    def value(self, path: str) -> Scalar:
        """Return the value of a setting."""
        value: Scalar = value_at(self._experiment, path)
        return value

    def objection(self, path: str, value: Scalar) -> str:
        """Return why a setting can't take `value`; empty if it can, or if this is unknown."""
        if self._experiment is None or path.endswith(".type"):
            return ""
        key = (path, type(value), value)  # with the type, since 1 == True
        if key not in self._objections:
            section, *rest = path.split(".")
            plain = getattr(self._experiment, section).model_dump()
            tree.set_plain(plain, tuple(rest), value)
            root = self._root.entries.get(section, self._root)
            problems = check(SECTIONS[section], plain, root=root, above=(section,))[1]
            self._objections[key] = problems[0].message if problems else ""
        return self._objections[key]


def value_at(settings: Any, path: str) -> Any:
    """Return the value at a dotted path of settings and mappings; None below a part left out."""
    for key in path.split("."):
        if settings is None:
            return None
        # Only `class_weights` may lack a key: a factor is 1 by default.
        settings = settings.get(key, 1.0) if isinstance(settings, dict) else getattr(settings, key)
    return settings


def _condition_problems(
    draft: Draft, extracted: ExtractedRanges, fixed: _FixedSettings
) -> list[Problem]:
    problems = []
    for path, values in draft.when.items():
        place: Place = draft.when_places.get(path, draft.place)
        if path in extracted.drafts:
            other = extracted.drafts[path].range
            never = f"{draft.name}: when: {path} is {describe_range(other)} and never "
            problems += [
                value.place.problem(never + describe(value.value))
                for value in values
                if not contains(other, value.value)  # type: ignore[arg-type]
            ]
        elif path not in fixed.paths:
            known = [*fixed.paths, *extracted.drafts]
            message = f"there is no setting {path!r} in model or training{nearest(path, known)}"
            problems.append(place.problem(f"{draft.name}: when: {message}", setting=path))
        else:
            for value in values:
                if len(problems) >= MAX_PROBLEMS:
                    break
                if objection := fixed.objection(path, value.value):  # type: ignore[arg-type]
                    problems.append(value.place.problem(f"{draft.name}: when: {objection}"))
    return problems


def _open_conditions(
    draft: Draft, space: Mapping[str, Range], inactive: Mapping[str, str], fixed: _FixedSettings
) -> tuple[dict[str, tuple[Scalar, ...]], str]:
    """Return the conditions on other ranges, and the reason if the range is never active."""
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
