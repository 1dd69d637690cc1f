"""An experiment file whose model is one of several architectures, and their common space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.ranges import ChoiceRange, Range
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.any_architecture import ANY, TYPE, in_type, ordinary
from tauopt.errors import UsageError, nearest


@dataclass(frozen=True)
class AnyArchitectureFile(ExperimentFile):
    """Several experiments that differ in their model, as one.

    `model.type` is a range of its space, `model.rnn.cell` the setting `model.cell` of its `rnn`.
    What is one experiment's in an ordinary file is that of the first architecture.
    """

    branches: Mapping[str, ExperimentFile] = field(default_factory=dict, repr=False)
    """Type -> the experiment with that architecture only."""

    @property
    def types(self) -> tuple[str, ...]:
        """Types that the model may have."""
        return tuple(self.branches)

    @property
    def alternatives(self) -> Mapping[str, ExperimentFile]:
        """The file for each type that its model may have."""
        return self.branches

    @property
    def definition(self) -> dict[str, Any]:
        """All that defines the study, of each architecture; as nested JSON values."""
        models = {
            type_: file.base.model.model_dump(mode="json") for type_, file in self.branches.items()
        }
        return {**super().definition, "model": {ANY: models}}

    @property
    def points(self) -> float:
        """How many points the space has at most; infinite if a range is continuous."""
        return sum(file.points for file in self.branches.values())

    def starts(self) -> list[dict[str, Scalar]]:
        """Return the literature's point of each architecture."""
        return [
            {TYPE: type_, **{in_type(path, type_): v for path, v in file.defaults().items()}}
            for type_, file in self.branches.items()
        ]

    def defaults(self) -> dict[str, Scalar]:
        """Return the first architecture and its defaults."""
        return self.starts()[0]

    def resolve(self, values: Mapping[str, Scalar]) -> Experiment:
        """Return the experiment of one point of the space: one of its architecture's file.

        Args:
            values: the architecture, and a value for each range that is active with it.
        Raises:
            UsageError: a value is missing, not asked for, or not allowed by its setting.
        """
        type_ = values.get(TYPE)
        if type_ is not None and type_ not in self.branches:
            raise UsageError(
                f"{self.path}: {TYPE} is one of {', '.join(self.types)}, got {type_!r}"
                f"{nearest(str(type_), self.types)}"
            )
        self._check_paths(values)
        own = ordinary(values)
        return self.branches[str(own.pop(TYPE))].resolve(own)


def joined(branches: Mapping[str, ExperimentFile], *, text: str) -> AnyArchitectureFile:
    """Return one file of the files of several architectures.

    Args:
        branches: type -> file; all from one tree.
        text: all that the file says, as YAML.
    """
    first = next(iter(branches.values()))
    shared = {one.name: getattr(first, one.name) for one in fields(first)}
    space = _space(branches)
    return AnyArchitectureFile(
        **{**shared, "text": text, "space": space, "inactive": _inactive(branches, space)},
        branches=branches,
    )


def _space(branches: Mapping[str, ExperimentFile]) -> dict[str, Range]:
    """Return the ranges of all architectures, each active where it is in one's own space.

    What a range of `training` depends on is the same wherever it is active, since conditions are
    written once and name the settings of one architecture only with its name.
    """
    ranges: dict[str, Range] = {}
    active: dict[str, list[str]] = {}
    for type_, file in branches.items():
        for path, range_ in file.space.items():
            name = in_type(path, type_)
            when = {in_type(other, type_): values for other, values in range_.when.items()}
            ranges[name] = replace(range_, when=when)
            active.setdefault(name, []).append(type_)
    for name, types in active.items():
        if len(types) < len(branches):
            when = {TYPE: tuple(types), **ranges[name].when}
            ranges[name] = replace(ranges[name], when=when)
    return _in_order({TYPE: ChoiceRange(tuple(branches)), **ranges})


def _in_order(ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Sort ranges so that each follows those it depends on, the model's before others."""
    ordered: dict[str, Range] = {}

    def visit(names: Iterable[str]) -> None:
        for name in names:
            if name not in ordered:
                visit(ranges[name].when)
                ordered[name] = ranges[name]

    visit(sorted(ranges, key=lambda name: not name.startswith("model.")))
    return ordered


def _inactive(branches: Mapping[str, ExperimentFile], space: Mapping[str, Range]) -> dict[str, str]:
    """Return the ranges that are active in no architecture, and why.

    That others have another type is no reason for a range that one type alone could have.
    """
    reasons: dict[str, list[str]] = {}
    for type_, file in branches.items():
        for path, reason in file.inactive.items():
            reasons.setdefault(in_type(path, type_), []).append(in_type(reason, type_))
    found = {}
    for path in reasons.keys() - space.keys():
        own = [reason for reason in reasons[path] if not reason.startswith(f"{TYPE} ")]
        found[path] = " or ".join(dict.fromkeys(own or reasons[path]))
    return {path: found[path] for path in reasons if path in found}
