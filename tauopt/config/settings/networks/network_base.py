"""What the settings of all networks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tauopt.config.settings.base import Settings
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.config.settings.networks.input_selection import (
    ALL,
    DropText,
    InputsText,
    NamesText,
    chosen,
)
from tauopt.config.settings.networks.towers import laid_on

Activation = Literal["relu", "tanh", "swish", "gelu", "elu", "prelu"]


class _Completed(Settings):
    """A part that a file names in part keeps its defaults in what it doesn't name."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: cls._completed(name, value) for name, value in values.items()}

    @classmethod
    def _completed(cls, name: str, value: Any) -> Any:
        field = cls.model_fields.get(name)
        default = field.default if field else None
        return laid_on(default.model_dump(), value) if isinstance(default, Settings) else value


class ObjectGroup(_Completed):
    """How a network sees one group of objects."""

    length: int = Field(default=10, ge=1, le=100)
    """Objects kept a candidate; the first ones."""


GROUPS = {
    "tracks": ObjectGroup(length=10),
    "clusters": ObjectGroup(length=6),
    "charged_pfos": ObjectGroup(length=3),
    "neutral_pfos": ObjectGroup(length=10),
    "shots": ObjectGroup(length=6),
    "conversions": ObjectGroup(length=4),
}
"""Objects that the literature keeps of groups of these names."""
DEMO = ("tracks", "clusters", "neutral_pfos", "conversions")
"""Groups of the demo sample."""
_USUAL_LENGTHS = {
    "clusters": "{int: [3, 10]}",
    "charged_pfos": "{int: [3, 5]}",
    "shots": "{int: [2, 8]}",
    "conversions": "{int: [1, 6]}",
}
ANY_GROUP = "<group>"
"""Stands for the name of each group in a setting's path."""


class Coordinates(Settings):
    """Features that say where an object is, as the dataset has them, before any transform."""

    eta: NamesText = "d_eta"
    """Pseudorapidity relative to the candidate's axis; of several names a group's first counts."""
    phi: NamesText = "d_phi"
    """Azimuth relative to the candidate's axis, in radians."""


class NetworkSettings(_Completed):
    """What every network has."""

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = {}
    """The literature's values for groups of these names."""

    ignores_order: ClassVar[bool] = False
    """Whether the order of objects in a group doesn't matter to the network."""

    parameters: ClassVar[int] = 0
    """Of the defaults, for two classes and the features of the demo sample."""
    source: ClassVar[str] = ""
    """Where it comes from."""
    usual: ClassVar[Mapping[str, str]] = {}
    """Setting below `model` -> the range that people search, as a file writes it; `<group>` stands
    for each group. Any of them together make a network. The lengths: `usual_length`."""
    usual_training: ClassVar[Mapping[str, str]] = {
        "optimizer": "{choice: [adam, nadam, sgd]}",
        "momentum": "{float: [0.5, 0.99], when: {training.optimizer: sgd}}",
        "learning_rate": "{float: [1.0e-4, 1.0e-2], log: true}",
        "batch_size": "{choice: [256, 512, 1024, 2048, 4096]}",
    }
    """The same of `training`; some are values that the search leaves alone."""
    tells_modes: ClassVar[bool] = False
    """Whether it is published for telling the decay modes of true taus apart."""

    type: str
    """Which network it is."""
    inputs: InputsText = ALL
    """What the network sees of its `groups` and the candidate's own features: `all`, some of them
    (`candidate+tracks`), or all but some (`all-clusters`)."""
    drop: DropText = Field(default="", examples=["tracks.d0 tracks.z0_sin_theta"])
    """Features that the network doesn't see, as `group.feature` with spaces between them;
    `candidate.feature` for the candidate's own."""

    @classmethod
    def _completed(cls, name: str, value: Any) -> Any:
        if name != "groups" or not isinstance(value, dict):
            return super()._completed(name, value)
        known = {group: settings.model_dump() for group, settings in cls.known_groups.items()}
        return {group: laid_on(known.get(group, {}), part) for group, part in value.items()}

    @staticmethod
    def usual_length(group: str) -> str:
        """Return the range in which people search how many objects of a group are kept."""
        return _USUAL_LENGTHS.get(group, "{int: [3, 15]}")

    def seen(self) -> tuple[str, ...]:
        """Return what the network sees: `candidate`, and names of groups.

        Raises:
            ValueError: `inputs` names something that the network has not.
        """
        return chosen(self.inputs, (CANDIDATE, *getattr(self, "groups", ())))
