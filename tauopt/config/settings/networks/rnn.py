"""Settings of the recurrent networks: the ATLAS tau RNN and its decay-mode RNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tauopt.config.settings.base import Variable
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.config.settings.networks.input_selection import ALL, InputsText
from tauopt.config.settings.networks.network_base import Activation, NetworkSettings, ObjectGroup
from tauopt.config.settings.networks.towers import Tower


class RnnGroup(ObjectGroup):
    """A recurrent branch over objects: dense layers on each object, then recurrent layers."""

    dense: Tower = Tower(layers=1, units=32)
    """Dense layers on each object."""
    rnn_layers: int = Field(default=1, ge=1, le=4)
    """Number of recurrent layers over the objects."""
    units: int = Field(default=32, ge=4, le=512)
    """Width of each recurrent layer."""


class Recurrent(NetworkSettings):
    """Base class of the recurrent networks' settings."""

    usual: ClassVar[Mapping[str, str]] = {
        "cell": "{choice: [lstm, gru]}",
        "dropout": "{float: [0.0, 0.4]}",
        "groups.<group>.rnn_layers": "{int: [1, 2]}",
        "groups.<group>.units": "{int: [16, 128], log: true}",
        "merge.layers": "{int: [0, 3]}",
        "merge.units": "{int: [32, 256], log: true, when: {model.merge.layers: [1, 2, 3]}}",
    }

    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of recurrent layer."""
    bidirectional: bool = False
    """Read the objects in both directions."""
    reversed: bool = False
    """Read the objects from the last to the first, so that the leading one is read last."""
    activation: Activation = "relu"
    """Activation of all dense layers but the output."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """Dropout rate before the layers of `merge` and the output."""
    groups: dict[Variable, RnnGroup] = Field(default={}, min_length=1)
    """Groups with a branch in the network."""
    candidate: Tower = Tower(layers=3, units=128, last_units=16)
    """Dense layers on the candidate's own features."""
    merge: Tower = Tower(layers=0, units=64, reduction=0.5)
    """Dense layers on all branches, concatenated."""


_GROUPS = {
    "tracks": RnnGroup(length=10, units=32),
    "clusters": RnnGroup(length=6, units=24),
}


class Rnn(Recurrent):
    """The ATLAS tau RNN: recurrent branches over objects, and the candidate's own features."""

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = _GROUPS

    parameters: ClassVar[int] = 34_553
    source: ClassVar[str] = "ATLAS, ATL-PHYS-PUB-2019-033"

    type: Literal["rnn"]
    """A recurrent network."""
    groups: dict[Variable, RnnGroup] = Field(default=dict(_GROUPS), min_length=1)
    """Groups with a branch in the network; `tracks` and `clusters` have the ATLAS baseline's values
    as defaults."""


def _pfos(length: int, units: int) -> RnnGroup:
    return RnnGroup(length=length, dense=Tower(layers=1, units=units), units=units)


_PFOS = {
    "charged_pfos": _pfos(3, 24),
    "neutral_pfos": _pfos(10, 24),
    "shots": _pfos(6, 16),
    "conversions": _pfos(4, 16),
}


class DecayModeRnn(Recurrent):
    """The ATLAS decay-mode RNN: recurrent branches over particle-flow objects alone."""

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = _PFOS
    classifies_decay_modes: ClassVar[bool] = True

    parameters: ClassVar[int] = 11_945
    source: ClassVar[str] = "ATLAS, as published with the tau RNN"

    type: Literal["decay_mode_rnn"]
    """A recurrent network on particle-flow objects."""
    inputs: InputsText = f"{ALL}-{CANDIDATE}"
    """Groups that the network sees, `candidate` being the candidate's own features: `all`, some
    (`candidate+shots`), or all but some (`all-candidate`)."""
    reversed: bool = True
    """Read the objects from the last to the first, so that the leading one is read last."""
    activation: Activation = "tanh"
    """Activation of all dense layers but the output."""
    groups: dict[Variable, RnnGroup] = Field(default=dict(_PFOS), min_length=1)
    """Groups with a branch in the network; known names have the published values as defaults."""
    merge: Tower = Tower(layers=2, units=64, reduction=0.5)
    """Dense layers on all branches, concatenated."""
