"""An experiment file as read: checked settings, a space of ranges, and points of it."""

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
    "search": {"trials", "budget", "resources"},
    "tracking": True,
    "working_points": True,
    "promote": True,
}
"""What may change between two parts of one search."""


@dataclass(frozen=True)
class ExperimentFile:
    """An experiment file: its settings, and the space of those that are ranges."""

    path: Path
    name: str
    space: Mapping[str, Range]
    """Path of a setting -> its range, each after the ranges that it depends on; otherwise in
    the file's order."""
    inactive: Mapping[str, str]
    """Ranges that are never active, because of a setting that is fixed, and that reason."""
    without_ranges: Experiment = field(repr=False)
    """The experiment with every range at the setting's own default."""
    text: str = field(repr=False)
    """All that the file and those it extends and names say, as one YAML file."""
    skeleton: Mapping[str, Any] = field(repr=False)
    """`model` and `training` as written, without ranges."""
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    """Where the settings of `task`, `model` and `training` stand, by path: for what is found wrong
    when the model is built, or when the dataset is there."""

    @property
    def types(self) -> tuple[str, ...]:
        """Types that the model may have."""
        return (self.without_ranges.model.type,)

    @property
    def network(self) -> str:
        """The types that the model may have, in words."""
        *others, last = self.types
        return f"{', '.join(others)} or {last}" if others else last

    @property
    def points(self) -> float:
        """How many points the space has at most; infinite if a range is continuous."""
        return math.prod(points(range_) for range_ in self.space.values())

    @property
    def base(self) -> Experiment:
        """The experiment with every range at its default."""
        return self.resolve(self.defaults())

    @property
    def definition(self) -> dict[str, Any]:
        """All that defines the study, as nested JSON values: what may not change in a resume."""
        settings = self.base.model_dump(mode="json", exclude=_NOT_DEFINING)
        return {**settings, "space": {path: asdict(range_) for path, range_ in self.space.items()}}

    @property
    def digest(self) -> str:
        """SHA-256 of the definition, hexadecimal."""
        return sha256_json(self.definition)

    def problem(self, path: str, message: str) -> Problem:
        """Return a problem with a setting at its place, or else at that of the model's type."""
        place = self.places.get(path, self.places.get("model.type", Place(str(self.path))))
        return place.problem(f"{path}: {message}")

    @property
    def alternatives(self) -> Mapping[str, ExperimentFile]:
        """The file for each type that its model may have."""
        return {self.types[0]: self}

    def defaults(self) -> dict[str, Scalar]:
        """Return the defaults of the active ranges' settings, moved into the ranges."""
        values: dict[str, Scalar] = {}
        for path, range_ in self.space.items():
            if is_active(range_, values):
                values[path] = moved_inside(range_, value_at(self.without_ranges, path))
        return values

    def starts(self) -> list[dict[str, Scalar]]:
        """Return the points that a search begins with: the literature's, moved into the ranges."""
        return [self.defaults()]

    def resolve(self, values: Mapping[str, Scalar]) -> Experiment:
        """Return the experiment of one point of the space.

        Args:
            values: a value for each active range; the settings of inactive ones take their
                own defaults. Of a model of the user's own also its hyperparameters, by path: then
                all of them.
        Raises:
            UsageError: a value is missing, not asked for, or not allowed by its setting.
        """
        own = {p: value for p, value in values.items() if p.startswith(HYPERPARAMETERS)}
        values = {path: value for path, value in values.items() if path not in own}
        self._check_paths(values)
        sections = {section: copy.deepcopy(self.skeleton[section]) for section in SECTIONS}
        if own:
            chosen = {path.removeprefix(HYPERPARAMETERS): value for path, value in own.items()}
            sections["model"]["hyperparameters"] = chosen
        for path, value in values.items():
            section, *keys = path.split(".")
            tree.set_plain(sections[section], tuple(keys), value)
        resolved = {key: self._validated(key, plain) for key, plain in sections.items()}
        return self.without_ranges.model_copy(update=resolved)

    def _check_paths(self, values: Mapping[str, Scalar]) -> None:
        for path in values:
            if path not in self.space:
                raise UsageError(f"{self.path}: {path!r} is no range{nearest(path, self.space)}")
        active: dict[str, Scalar] = {}
        for path, range_ in self.space.items():
            if is_active(range_, active):
                if path not in values:
                    raise UsageError(f"{self.path}: no value given for {path}")
                active[path] = values[path]
        if inactive := [path for path in values if path not in active]:
            raise UsageError(f"{self.path}: {', '.join(inactive)} can't be given here: not active")

    def _validated(self, section: str, plain: Any) -> Any:
        here = Node({}, Place(str(self.path)))
        settings, problems = check(SECTIONS[section], plain, root=here, above=(section,))
        if problems:
            raise ConfigError(problems)
        return settings
