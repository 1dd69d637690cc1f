"""Settings of a tower, a stack of dense layers, as all networks have them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from tauopt.config.settings.base import Settings

MAX_LAYERS = 20
MAX_UNITS = 2048
Width = Annotated[int, Field(ge=1, le=MAX_UNITS)]
PYRAMID = ("layers", "units", "last_units", "reduction")
"""Fields of the pyramid form, which `widths` replaces."""


class Tower(Settings):
    """A stack of dense layers: a pyramid set by a few numbers, or a list of widths."""

    layers: int = Field(default=1, ge=0, le=MAX_LAYERS)
    """Number of layers."""
    units: int = Field(default=64, ge=1, le=MAX_UNITS)
    """Width of the first layer."""
    last_units: int = Field(default=0, ge=0, le=MAX_UNITS)
    """Width of the last layer, also if it is the only one; 0 means as given by `reduction`."""
    reduction: float = Field(default=1.0, ge=0.1, le=1.0)
    """Width of each further layer, as a fraction of the one before."""
    widths: tuple[Width, ...] = Field(default=(), max_length=MAX_LAYERS, examples=[[80, 80, 60]])
    """Width of each layer, in place of the other values; fixed in a search."""

    @model_validator(mode="before")
    @classmethod
    def _pyramid_of_widths(cls, values: Any) -> Any:
        """Set the pyramid's fields from `widths` if these are given; refuse other values."""
        widths = values.get("widths") if isinstance(values, dict) else None
        if not isinstance(widths, (list, tuple)) or not widths:
            return values
        pyramid = {"layers": len(widths), "units": widths[0], "last_units": widths[-1]}
        pyramid["reduction"] = 1.0
        for name in PYRAMID:
            # Equal values pass, so that dumped settings can be validated again.
            if name in values and values[name] != pyramid[name]:
                raise ValueError(f"widths set the whole tower; leave out {name}")
        return {**values, **pyramid}

    def sizes(self) -> list[int]:
        """Return the width of each layer."""
        if self.widths:
            return list(self.widths)
        sizes = [max(1, round(self.units * self.reduction**n)) for n in range(self.layers)]
        return [*sizes[:-1], self.last_units] if sizes and self.last_units else sizes


def laid_on(default: Any, value: Any) -> Any:
    """Merge a value of a file over its default, mappings deeply.

    A tower's `widths` replace the default pyramid, and the pyramid's numbers replace default
    `widths`.
    """
    if not isinstance(default, dict) or not isinstance(value, dict):
        return value
    if value.get("widths"):
        default = {name: part for name, part in default.items() if name not in PYRAMID}
    elif any(name in value for name in PYRAMID):
        default = {name: part for name, part in default.items() if name != "widths"}
    return {**default, **{name: laid_on(default.get(name), part) for name, part in value.items()}}
