"""Towers of dense layers: one settings class for all networks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from tauopt.config.settings.base import Settings

MAX_LAYERS = 20
MAX_UNITS = 2048
Width = Annotated[int, Field(ge=1, le=MAX_UNITS)]
PYRAMID = ("layers", "units", "last_units", "reduction")
"""The fields that `widths` takes the place of."""


class Tower(Settings):
    """Dense layers on top of each other: a pyramid of a few numbers, or each width by itself."""

    layers: int = Field(default=1, ge=0, le=MAX_LAYERS)
    """How many layers."""
    units: int = Field(default=64, ge=1, le=MAX_UNITS)
    """Width of the first layer."""
    last_units: int = Field(default=0, ge=0, le=MAX_UNITS)
    """Width of the last layer, also where it is the only one; 0: as `reduction` gives."""
    reduction: float = Field(default=1.0, ge=0.1, le=1.0)
    """Each further layer's width, as a fraction of the one before."""
    widths: tuple[Width, ...] = Field(default=(), max_length=MAX_LAYERS, examples=[[80, 80, 60]])
    """The width of each layer, in place of the other values; fixed in a search."""

    @model_validator(mode="before")
    @classmethod
    def _widths_stand_alone(cls, values: Any) -> Any:
        """Take the pyramid's values from `widths`, where these are given, and no others."""
        widths = values.get("widths") if isinstance(values, dict) else None
        if not isinstance(widths, (list, tuple)) or not widths:
            return values
        told = {"layers": len(widths), "units": widths[0], "last_units": widths[-1]}
        told["reduction"] = 1.0
        for name in PYRAMID:
            if name in values and values[name] != told[name]:
                raise ValueError(f"widths say all of a tower; leave out {name}")
        return {**values, **told}

    def sizes(self) -> list[int]:
        """Return the width of each layer."""
        if self.widths:
            return list(self.widths)
        sizes = [max(1, round(self.units * self.reduction**n)) for n in range(self.layers)]
        return [*sizes[:-1], self.last_units] if sizes and self.last_units else sizes


def laid_on(default: Any, value: Any) -> Any:
    """Lay a part of a file on the values that it has by default, mappings deeply.

    A tower's `widths` and the numbers of its pyramid take each other's place.
    """
    if not isinstance(default, dict) or not isinstance(value, dict):
        return value
    if value.get("widths"):
        default = {name: part for name, part in default.items() if name not in PYRAMID}
    elif any(name in value for name in PYRAMID):
        default = {name: part for name, part in default.items() if name != "widths"}
    return {**default, **{name: laid_on(default.get(name), part) for name, part in value.items()}}
