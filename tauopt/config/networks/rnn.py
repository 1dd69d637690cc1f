"""Settings of the recurrent network."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tauopt.config.networks.base import Activation, NetworkSettings, ObjectGroup
from tauopt.config.networks.towers import CandidateTower, MergeTower
from tauopt.config.settings import Variable


class RnnGroup(ObjectGroup):
    """A branch over objects: dense layers on each object, then recurrent layers."""

    dense_layers: int = Field(default=1, ge=0, le=4)
    """Dense layers on each object."""
    dense_units: int = Field(default=32, ge=4, le=512)
    """Width of each of them."""
    rnn_layers: int = Field(default=1, ge=1, le=4)
    """Recurrent layers over the objects."""
    units: int = Field(default=32, ge=4, le=512)
    """Width of each recurrent layer."""


_RNN_GROUPS: dict[str, dict[str, Any]] = {
    "tracks": {"length": 10, "dense_units": 32, "units": 32},
    "clusters": {"length": 6, "dense_units": 32, "units": 24},
}


class Rnn(NetworkSettings):
    """The ATLAS tau RNN: recurrent branches over objects, and the candidate's own features."""

    known_groups = _RNN_GROUPS

    type: Literal["rnn"]
    """A recurrent network."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of recurrent layer."""
    bidirectional: bool = False
    """Read the objects in both directions."""
    activation: Activation = "relu"
    """Of all dense layers but the output."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """Before the merged layers and the output."""
    groups: dict[Variable, RnnGroup] = Field(
        default={name: RnnGroup(**values) for name, values in _RNN_GROUPS.items()}, min_length=1
    )
    """The groups that the network sees; `tracks` and `clusters` start from the ATLAS baseline."""
    candidate: CandidateTower = CandidateTower()
    """The candidate's own features."""
    merge: MergeTower = MergeTower()
    """What all branches are joined into."""
