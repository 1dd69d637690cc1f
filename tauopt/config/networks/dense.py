"""Settings of the dense network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tauopt.config.networks.base import Activation, NetworkSettings


class Dense(NetworkSettings):
    """Dense layers on the candidate's own features alone."""

    type: Literal["dense"]
    """A network of dense layers."""
    activation: Activation = "relu"
    """Of all layers but the output."""
    batch_normalization: bool = False
    """Normalise each layer's outputs over the batch."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """After each layer."""
    layers: int = Field(default=3, ge=1, le=8)
    """Dense layers before the output."""
    units: int = Field(default=64, ge=4, le=1024)
    """Width of the first layer."""
    reduction: float = Field(default=1.0, ge=0.1, le=1.0)
    """Each further layer's width, as a fraction of the one before."""
