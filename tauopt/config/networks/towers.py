"""Towers of dense layers."""

from __future__ import annotations

from pydantic import Field

from tauopt.config.settings import Settings


class CandidateTower(Settings):
    """Dense layers on the candidate's own features."""

    layers: int = Field(default=2, ge=0, le=6)
    """Dense layers."""
    units: int = Field(default=128, ge=4, le=1024)
    """Width of each of them."""
    output_units: int = Field(default=16, ge=1, le=512)
    """Width of a last layer after them."""


class MergeTower(Settings):
    """Dense layers on all branches together."""

    layers: int = Field(default=0, ge=0, le=6)
    """Dense layers before the output."""
    units: int = Field(default=64, ge=4, le=1024)
    """Width of the first layer."""
    reduction: float = Field(default=0.5, ge=0.1, le=1.0)
    """Each further layer's width, as a fraction of the one before."""
