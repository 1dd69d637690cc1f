"""Settings of the dense network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tauopt.config.settings.base import Variable
from tauopt.config.settings.networks.network_base import (
    GROUPS,
    Activation,
    NetworkSettings,
    ObjectGroup,
)
from tauopt.config.settings.networks.towers import MAX_LAYERS, MAX_UNITS, Tower


class Dense(NetworkSettings, Tower):
    """Dense layers on the candidate's own features, and on flattened objects of named groups."""

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = GROUPS
    usual: ClassVar[Mapping[str, str]] = {
        "layers": "{int: [1, 5]}",
        "units": "{int: [32, 256], log: true}",
        "reduction": "{float: [0.5, 1.0]}",
        "batch_normalization": "{choice: [false, true]}",
        "dropout": "{float: [0.0, 0.4]}",
    }

    parameters: ClassVar[int] = 9_153
    source: ClassVar[str] = "none, a plain reference"

    type: Literal["dense"]
    """A network of dense layers."""
    activation: Activation = "relu"
    """Activation of all layers but the output."""
    batch_normalization: bool = False
    """Batch normalisation of each layer's outputs."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """Dropout rate after each layer."""
    groups: dict[Variable, ObjectGroup] = {}
    """Groups whose objects are flattened, padded with zeros; none by default."""
    layers: int = Field(default=3, ge=1, le=MAX_LAYERS)
    """Number of dense layers before the output."""
    units: int = Field(default=64, ge=1, le=MAX_UNITS)
    """Width of the first layer."""
