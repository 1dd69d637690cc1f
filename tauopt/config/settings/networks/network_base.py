"""Base classes of the networks' settings: groups of objects, coordinates, inputs, usual ranges."""

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
    selected_groups,
)
from tauopt.config.settings.networks.towers import laid_on

Activation = Literal["relu", "tanh", "swish", "gelu", "elu", "prelu"]


class _WithNestedDefaults(Settings):
    """Settings whose nested parts keep their own defaults for what a file leaves out.

    Pydantic alone would take the defaults of a part's class, not those of this field.
    """

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


class ObjectGroup(_WithNestedDefaults):
    """Settings of one group of objects in a network."""

    length: int = Field(default=10, ge=1, le=100)
    """Objects kept per candidate, the first ones."""


GROUPS = {
    "tracks": ObjectGroup(length=10),
    "clusters": ObjectGroup(length=6),
    "charged_pfos": ObjectGroup(length=3),
    "neutral_pfos": ObjectGroup(length=10),
    "shots": ObjectGroup(length=6),
    "conversions": ObjectGroup(length=4),
}
"""Numbers of objects that the literature keeps, by name of the group."""
DEMO = ("tracks", "clusters", "neutral_pfos", "conversions")
"""Groups in the demo sample."""
_USUAL_LENGTHS = {
    "clusters": "{int: [3, 10]}",
    "charged_pfos": "{int: [3, 5]}",
    "shots": "{int: [2, 8]}",
    "conversions": "{int: [1, 6]}",
}
ANY_GROUP = "<group>"
"""Placeholder for each group's name in a setting's path."""


class Coordinates(Settings):
    """Features with an object's coordinates, as in the dataset, before any transform."""

    eta: NamesText = "d_eta"
    """Pseudorapidity relative to the candidate's axis; of several names, the first that a group has
    counts."""
    phi: NamesText = "d_phi"
    """Azimuthal angle relative to the candidate's axis, in radians."""


class NetworkSettings(_WithNestedDefaults):
    """Base class of the settings of every built-in network."""

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = {}
    """Group -> its defaults from the literature."""

    ignores_order: ClassVar[bool] = False
    """Whether the network is invariant under permutations of the objects in a group."""

    parameters: ClassVar[int] = 0
    """Number of parameters with default settings, for two classes and the demo sample."""
    source: ClassVar[str] = ""
    """Publication that the network follows."""
    usual: ClassVar[Mapping[str, str]] = {}
    """Setting below `model` -> its usual search range, as a file writes it; `<group>` is a
    placeholder for each group. Every combination makes a valid network. For lengths see
    `usual_length`."""
    usual_training: ClassVar[Mapping[str, str]] = {
        "optimizer": "{choice: [adam, nadam, sgd]}",
        "momentum": "{float: [0.5, 0.99], when: {training.optimizer: sgd}}",
        "learning_rate": "{float: [1.0e-4, 1.0e-2], log: true}",
        "batch_size": "{choice: [256, 512, 1024, 2048, 4096]}",
    }
    """Setting below `training` -> its usual search range, or its usual value if it has none."""
    classifies_decay_modes: ClassVar[bool] = False
    """Whether the network is published for classifying the decay modes of true taus."""

    type: str
    """Type of the network."""
    inputs: InputsText = ALL
    """Groups that the network sees, `candidate` being the candidate's own features: `all`, some
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
        """Return the usual search range of the number of objects kept per candidate in a group."""
        return _USUAL_LENGTHS.get(group, "{int: [3, 15]}")

    def seen(self) -> tuple[str, ...]:
        """Return the names of the inputs that the network sees: `candidate` and groups.

        Raises:
            ValueError: `inputs` names a group that the network does not have.
        """
        return selected_groups(self.inputs, (CANDIDATE, *getattr(self, "groups", ())))
