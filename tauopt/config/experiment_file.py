"""An experiment file after reading: checked settings, the search space, and points in it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.config.settings.problems import check
from tauopt.config.settings.ranges import Range, is_active, moved_inside, points
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, Place, Scalar
from tauopt.config.space.conditions import value_at
from tauopt.config.space.range_extraction import SECTIONS
from tauopt.durable import sha256_json
from tauopt.errors import ConfigError, Problem, UsageError, nearest

_NOT_DEFINING: dict[str, Any] = {
    "search": {"trials", "budget", "resources", "notify", "confirm"},
    "tracking": True,
    "working_points": True,
    "promote": True,
}
"""Settings that do not define the study, so that they may change when a search is resumed."""


@dataclass(frozen=True)
class ExperimentFile:
    """An experiment file: its settings, and the search space of those that are ranges."""

    path: Path
    name: str
    space: Mapping[str, Range]
    """Path of a setting -> its range, each after the ranges in its conditions; otherwise in the
    file's order."""
    inactive: Mapping[str, str]
    """Path -> reason, for ranges that a fixed setting makes inactive at every point."""
    without_ranges: Experiment = field(repr=False)
    """The experiment with every range at the setting's own default."""
    text: str = field(repr=False)
    """The file, with the files that it extends and its dataset file, as one YAML file."""
    skeleton: Mapping[str, Any] = field(repr=False)
    """`model` and `training` as written, without ranges."""
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    """Path -> place of the settings in `task`, `model` and `training`, for problems that appear
    only when the model is built or the dataset is prepared."""

    @property
    def types(self) -> tuple[str, ...]:
        """Possible types of the model."""
        return (self.without_ranges.model.type,)

    @property
    def network(self) -> str:
        """Possible types of the model, in words."""
        *others, last = self.types
        return f"{', '.join(others)} or {last}" if others else last

    @property
    def points(self) -> float:
        """Largest number of points in the space; infinite if a range is continuous."""
        return math.prod(points(range_) for range_ in self.space.values())

    @property
    def base(self) -> Experiment:
        """The experiment with every range at its default."""
        return self.resolve(self.defaults())

    @property
    def definition(self) -> dict[str, Any]:
        """The settings that define the study and that a resume may not change, as JSON values."""
        settings = self.base.model_dump(mode="json", exclude=_NOT_DEFINING)
        return {**settings, "space": {path: asdict(range_) for path, range_ in self.space.items()}}

    @property
    def digest(self) -> str:
        """SHA-256 of the definition, hexadecimal."""
        return sha256_json(self.definition)

    def problem(self, path: str, message: str) -> Problem:
        """Return a problem at the place of a setting, or if it has none at that of `model.type`."""
        place = self.places.get(path, self.places.get("model.type", Place(str(self.path))))
        return place.problem(f"{path}: {message}")

    @property
    def alternatives(self) -> Mapping[str, ExperimentFile]:
        """Type -> the experiment with that architecture only."""
        return {self.types[0]: self}

    def defaults(self) -> dict[str, Scalar]:
        """Return the defaults of the active ranges, moved to the nearest values in the ranges."""
        values: dict[str, Scalar] = {}
        for path, range_ in self.space.items():
            if is_active(range_, values):
                values[path] = moved_inside(range_, value_at(self.without_ranges, path))
        return values

    def starts(self) -> list[dict[str, Scalar]]:
        """Return the first points of a search: the literature's values, moved into the ranges."""
        return [self.defaults()]

    def resolve(self, values: Mapping[str, Scalar]) -> Experiment:
        """Return the experiment at one point of the space.

        Args:
            values: path -> value of each active range; the settings of inactive ranges take their
                own defaults. For a model of the user's own, `values` may also have its
                hyperparameters by path, and then must have all of them.
        Raises:
            UsageError: a value is missing, belongs to no active range, or is invalid.
        """
        hyperparameters = {
            path.removeprefix(HYPERPARAMETERS): value
            for path, value in values.items()
            if path.startswith(HYPERPARAMETERS)
        }
        values = {p: value for p, value in values.items() if not p.startswith(HYPERPARAMETERS)}
        self._check_paths(values)
        sections = {section: copy.deepcopy(self.skeleton[section]) for section in SECTIONS}
        if hyperparameters:
            sections["model"]["hyperparameters"] = hyperparameters
        for path, value in values.items():
            section, *keys = path.split(".")
            tree.set_plain(sections[section], tuple(keys), value)
        resolved = {key: self._validated(key, plain) for key, plain in sections.items()}
        return self.without_ranges.model_copy(update=resolved)

    def _check_paths(self, values: Mapping[str, Scalar]) -> None:
        for path in values:
            if path not in self.space:
                raise UsageError(
                    f"{self.path}: {path!r} is not a range of the search space"
                    f"{nearest(path, self.space)}"
                )
        active: dict[str, Scalar] = {}
        for path, range_ in self.space.items():
            if is_active(range_, active):
                if path not in values:
                    raise UsageError(f"{self.path}: no value given for {path}")
                active[path] = values[path]
        if inactive := [path for path in values if path not in active]:
            raise UsageError(
                f"{self.path}: {', '.join(inactive)} can't be given here: not active with the "
                "other values; leave it out"
            )

    def _validated(self, section: str, plain: Any) -> Any:
        root = Node({}, Place(str(self.path)))
        settings, problems = check(SECTIONS[section], plain, root=root, above=(section,))
        if problems:
            raise ConfigError(problems)
        return settings
