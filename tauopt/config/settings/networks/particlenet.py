"""Settings of ParticleNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tauopt.config.settings.base import Variable
from tauopt.config.settings.networks.network_base import (
    DEMO,
    GROUPS,
    Activation,
    Coordinates,
    NetworkSettings,
    ObjectGroup,
)
from tauopt.config.settings.networks.towers import Tower


class ParticleNet(NetworkSettings):
    """ParticleNet: edge convolutions over nearest neighbours, recomputed in each block.

    Published: `neighbours: 16`, `last_neighbours: 8`, `channels: {widths: [160, 128, 96]}`,
    `edge_layers: 3`, `merge: {units: 256}`; the defaults train ten times faster.
    """

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = GROUPS
    ignores_order: ClassVar[bool] = True
    usual: ClassVar[Mapping[str, str]] = {
        "neighbours": "{int: [4, 16]}",
        "channels.layers": "{int: [1, 3]}",
        "channels.units": "{int: [16, 160], log: true}",
        "edge_layers": "{int: [1, 3]}",
        "dropout": "{float: [0.0, 0.4]}",
        "merge.units": "{int: [32, 256], log: true}",
    }

    parameters: ClassVar[int] = 40_660
    source: ClassVar[str] = "arXiv:1902.08570"

    type: Literal["particlenet"]
    """A dynamic graph network."""
    neighbours: int = Field(default=8, ge=1, le=50)
    """Number of nearest neighbours in the first block."""
    last_neighbours: int = Field(default=4, ge=1, le=50)
    """Number of nearest neighbours in the last block; evenly spaced between."""
    embedding: int = Field(default=32, ge=4, le=512)
    """Width of an object's embedding before the first block."""
    channels: Tower = Tower(layers=3, units=64, last_units=32, reduction=0.75)
    """Number and widths of the blocks."""
    edge_layers: int = Field(default=2, ge=1, le=4)
    """Layers within a block, on each pair of neighbours."""
    activation: Activation = "relu"
    """Activation of all layers but the output."""
    batch_normalization: bool = True
    """Batch normalisation of each layer's outputs."""
    dropout: float = Field(default=0.1, ge=0.0, le=0.9)
    """Dropout rate before the layers of `merge` and the output."""
    coordinates: Coordinates = Coordinates()
    """Features that define the distance of objects in the first block."""
    groups: dict[Variable, ObjectGroup] = Field(
        default={name: GROUPS[name] for name in DEMO}, min_length=1
    )
    """Groups whose objects are neighbours of each other."""
    candidate: Tower = Tower(layers=3, units=60, reduction=0.5)
    """Dense layers on the candidate's own features."""
    merge: Tower = Tower(layers=1, units=128)
    """Dense layers on the mean over objects and the candidate's features, concatenated."""
