"""An experiment file with several architectures (`any`), and their joint search space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.ranges import ChoiceRange, Range
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.any_architecture import ANY, TYPE, with_type, without_type
from tauopt.errors import UsageError, nearest


@dataclass(frozen=True)
class AnyArchitectureFile(ExperimentFile):
    """Several experiments that differ in their architecture, with a joint search space.

    In the space, `model.type` is a range, and `model.rnn.cell` is the setting `model.cell` of
    `rnn`. Properties of a single experiment (`base`, `without_ranges`, ...) are those of the first
    architecture.
    """

    branches: Mapping[str, ExperimentFile] = field(default_factory=dict, repr=False)
    """Type -> the experiment with that architecture only."""

    @property
    def types(self) -> tuple[str, ...]:
        """Possible types of the model."""
        return tuple(self.branches)

    @property
    def alternatives(self) -> Mapping[str, ExperimentFile]:
        """Type -> the experiment with that architecture only."""
        return self.branches

    @property
    def definition(self) -> dict[str, Any]:
        """The settings that define the study, of all architectures, as nested JSON values."""
        models = {
            type_: file.base.model.model_dump(mode="json") for type_, file in self.branches.items()
        }
        return {**super().definition, "model": {ANY: models}}

    @property
    def points(self) -> float:
        """Largest number of points in the space; infinite if a range is continuous."""
        return sum(file.points for file in self.branches.values())

    def starts(self) -> list[dict[str, Scalar]]:
        """Return the literature's point of each architecture."""
        return [
            {TYPE: type_, **{with_type(path, type_): v for path, v in file.defaults().items()}}
            for type_, file in self.branches.items()
        ]

    def defaults(self) -> dict[str, Scalar]:
        """Return the first architecture and its defaults."""
        return self.starts()[0]

    def resolve(self, values: Mapping[str, Scalar]) -> Experiment:
        """Return the experiment at one point of the space, with one architecture.

        Args:
            values: the architecture, and a value for each range that is active with it.
        Raises:
            UsageError: a value is missing, belongs to no active range, or is invalid.
        """
        type_ = values.get(TYPE)
        if type_ is not None and type_ not in self.branches:
            raise UsageError(
                f"{self.path}: expected {TYPE} to be one of {', '.join(self.types)}, got {type_!r}"
                f"{nearest(str(type_), self.types)}"
            )
        self._check_paths(values)
        branch_values = without_type(values)
        return self.branches[str(branch_values.pop(TYPE))].resolve(branch_values)


def join_architectures(branches: Mapping[str, ExperimentFile], *, text: str) -> AnyArchitectureFile:
    """Join the files of several architectures into one file.

    Args:
        branches: type -> file; all from one tree.
        text: the whole file as YAML.
    """
    first = next(iter(branches.values()))
    shared = {item.name: getattr(first, item.name) for item in fields(first)}
    space = _joint_space(branches)
    return AnyArchitectureFile(
        **{**shared, "text": text, "space": space, "inactive": _inactive(branches, space)},
        branches=branches,
    )


def _joint_space(branches: Mapping[str, ExperimentFile]) -> dict[str, Range]:
    """Return the ranges of all architectures, each active for the types whose space has it."""
    ranges: dict[str, Range] = {}
    types_of: dict[str, list[str]] = {}
    for type_, file in branches.items():
        for path, range_ in file.space.items():
            name = with_type(path, type_)
            when = {with_type(other, type_): values for other, values in range_.when.items()}
            # A range of `training` has the same conditions for every type in which it is active:
            # they are written once, and name the architecture whose setting they are about.
            ranges[name] = replace(range_, when=when)
            types_of.setdefault(name, []).append(type_)
    for name, types in types_of.items():
        if len(types) < len(branches):
            when = {TYPE: tuple(types), **ranges[name].when}
            ranges[name] = replace(ranges[name], when=when)
    return _in_order({TYPE: ChoiceRange(tuple(branches)), **ranges})


def _in_order(ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Sort ranges topologically, each after its conditions, the model's before others."""
    ordered: dict[str, Range] = {}

    def visit(names: Iterable[str]) -> None:
        for name in names:
            if name not in ordered:
                visit(ranges[name].when)
                ordered[name] = ranges[name]

    visit(sorted(ranges, key=lambda name: not name.startswith("model.")))
    return ordered


def _inactive(branches: Mapping[str, ExperimentFile], space: Mapping[str, Range]) -> dict[str, str]:
    """Return path -> reason, for the ranges that are active in no architecture."""
    reasons: dict[str, list[str]] = {}
    for type_, file in branches.items():
        for path, reason in file.inactive.items():
            reasons.setdefault(with_type(path, type_), []).append(with_type(reason, type_))
    inactive = {}
    for path, candidates in reasons.items():
        if path not in space:
            # A reason within an architecture says more than that the others have another type.
            within = [reason for reason in candidates if not reason.startswith(f"{TYPE} ")]
            inactive[path] = " or ".join(dict.fromkeys(within or candidates))
    return inactive
