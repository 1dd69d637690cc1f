"""Settings of the transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tauopt.config.settings.base import Variable
from tauopt.config.settings.networks.input_selection import NamesText
from tauopt.config.settings.networks.network_base import (
    DEMO,
    GROUPS,
    Activation,
    Coordinates,
    NetworkSettings,
    ObjectGroup,
)
from tauopt.config.settings.networks.towers import Tower


class PairCoordinates(Coordinates):
    """Features from which pair features are computed, as in the dataset, before any transform."""

    pt: NamesText = "pt et"
    """Transverse momentum."""


class Transformer(NetworkSettings):
    """Transformer: self-attention over all objects of a candidate, across groups."""

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = GROUPS
    ignores_order: ClassVar[bool] = True
    usual: ClassVar[Mapping[str, str]] = {
        "layers": "{int: [1, 6]}",
        "dim": "{choice: [32, 64, 128]}",
        "heads": "{choice: [2, 4, 8]}",
        "feed_forward": "{int: [64, 512], log: true}",
        "dropout": "{float: [0.0, 0.3]}",
        "pairwise": "{choice: [false, true]}",
    }
    usual_training: ClassVar[Mapping[str, str]] = {
        "optimizer": "adamw",
        "learning_rate": "{float: [1.0e-4, 5.0e-3], log: true}",
        "schedule": "{choice: [constant, cosine]}",
        "warm_up": "0.05",
        "weight_decay": "{float: [1.0e-5, 1.0e-2], log: true}",
        "batch_size": "{choice: [256, 512, 1024]}",
    }

    parameters: ClassVar[int] = 303_233
    source: ClassVar[str] = "arXiv:1706.03762, TauMLTools; pairs: arXiv:2202.03772"

    type: Literal["transformer"]
    """A transformer."""
    layers: int = Field(default=6, ge=1, le=12)
    """Number of blocks of attention and feed-forward layers."""
    dim: int = Field(default=64, ge=4, le=512)
    """Width of an object's embedding."""
    heads: int = Field(default=8, ge=1, le=16)
    """Number of attention heads, each with `dim` / `heads` units."""
    feed_forward: int = Field(default=256, ge=4, le=2048)
    """Width of the hidden layer in each block."""
    activation: Activation = "gelu"
    """Activation of the hidden layers."""
    dropout: float = Field(default=0.1, ge=0.0, le=0.9)
    """Dropout rate after attention and feed-forward layers, and before the output."""
    pairwise: bool = False
    """Add pair features to the attention scores: ln dR, ln kT and ln z of each pair of objects."""
    pairs: Tower = Tower(layers=1, units=16)
    """Dense layers on the pair features, before one unit per head."""
    coordinates: PairCoordinates = PairCoordinates()
    """Features from which pair features are computed; used with `pairwise` only."""
    groups: dict[Variable, ObjectGroup] = Field(
        default={name: GROUPS[name] for name in DEMO}, min_length=1
    )
    """Groups whose objects attend to each other."""
    candidate: Tower = Tower(layers=0)
    """Dense layers on the candidate's own features, before they are added to the class token."""
    merge: Tower = Tower(layers=0, reduction=0.5)
    """Dense layers on the class token, before the output."""
