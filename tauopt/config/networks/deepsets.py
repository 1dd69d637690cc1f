"""Settings of the Deep Sets network."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tauopt.config.networks.base import Activation, NetworkSettings, ObjectGroup
from tauopt.config.networks.towers import CandidateTower, MergeTower
from tauopt.config.settings import Variable


class DeepSetsGroup(ObjectGroup):
    """A branch over objects: phi on each object, masked sum, F on the sum."""

    phi_layers: int = Field(default=3, ge=1, le=6)
    """Layers of phi, on each object, the last one included."""
    phi_units: int = Field(default=30, ge=4, le=512)
    """Width of the layers of phi but the last."""
    phi_output_units: int = Field(default=20, ge=1, le=512)
    """Width of the last layer of phi."""
    f_layers: int = Field(default=2, ge=0, le=6)
    """Layers of F, on the sum over objects, before its last one."""
    f_units: int = Field(default=20, ge=4, le=512)
    """Width of the layers of F but the last."""
    f_output_units: int = Field(default=20, ge=1, le=512)
    """Width of the last layer of F."""


_DEEPSETS_GROUPS: dict[str, dict[str, Any]] = {
    "tracks": {"length": 10},
    "clusters": {"length": 6},
    "neutral_pfos": {
        "phi_layers": 4, "phi_units": 80, "phi_output_units": 60,
        "f_units": 60, "f_output_units": 40,
    },
    "shots": {"length": 6, "phi_units": 20},
    "conversions": {"length": 4},
}  # fmt: skip


class DeepSets(NetworkSettings):
    """The unified classifier's Deep Sets: permutation-invariant branches over objects."""

    known_groups = _DEEPSETS_GROUPS

    type: Literal["deepsets"]
    """A Deep Sets network."""
    activation: Activation = "swish"
    """Of all dense layers but the output."""
    batch_normalization: bool = True
    """Normalise each layer's outputs over the batch."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """Before each merged layer."""
    groups: dict[Variable, DeepSetsGroup] = Field(
        default={
            name: DeepSetsGroup(**_DEEPSETS_GROUPS[name])
            for name in ("tracks", "neutral_pfos", "conversions")
        },
        min_length=1,
    )
    """The groups that the network sees; known names start from the unified classifier's widths."""
    candidate: CandidateTower = CandidateTower(units=60, output_units=15)
    """The candidate's own features."""
    merge: MergeTower = MergeTower(layers=2, units=100)
    """What all branches are joined into."""
