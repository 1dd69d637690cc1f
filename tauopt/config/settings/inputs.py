"""What a network sees: features in physical units, their transforms and fitted constants."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tauopt.config.settings.base import OptionalExpression, Settings

CANDIDATE = "candidate"
"""The group of the candidate's own variables: one row a candidate, no mask."""


class Transform(Settings):
    """What the network does to a raw feature before its constants.

    In this order: divide, absolute value, clip to [min, max], add the offset, log10. Then come
    the constants, fitted on the training split: clip to the quantiles that `clip_quantiles`
    names, and (x - shift) / spread as `scale` says.
    """

    divide: float = Field(default=1.0, gt=0)
    """Divide by this, for instance 1000 for MeV to GeV or 0.4 for a cone size."""
    abs: bool = False
    """Take the absolute value."""
    min: float | None = None
    """Clip from below."""
    max: float | None = None
    """Clip from above."""
    offset: float = 0.0
    """Add this, for instance 1e-6 before a logarithm."""
    log10: bool = False
    """Take the logarithm to base 10."""
    scale: Literal["none", "standard", "minmax", "robust"] = "none"
    """Constants fitted on the training split: mean and standard deviation, minimum and range, or
    median and interquartile range / 1.349 (a normal distribution's standard deviation)."""
    clip_quantiles: tuple[float, float] | None = Field(default=None, examples=[[0.001, 0.999]])
    """Clip to these quantiles of the training split, before the other constants are fitted."""

    @field_validator("clip_quantiles")
    @classmethod
    def _quantiles_in_order(cls, clip: tuple[float, float] | None) -> tuple[float, float] | None:
        if clip is not None and not 0 <= clip[0] < clip[1] <= 1:
            raise ValueError(f"expected 0 <= low < high <= 1, got {clip[0]:g} and {clip[1]:g}")
        return clip

    @model_validator(mode="after")
    def _min_below_max(self) -> Self:
        if self.min is not None and self.max is not None and not self.min < self.max:
            raise ValueError(f"expected min < max, got min {self.min:g} and max {self.max:g}")
        return self


class Feature(Transform):
    """A feature of a dataset file: where it comes from, and its transform."""

    expression: OptionalExpression = ""
    """Branch or expression over branches; empty means the feature's own name."""


class FittedFeature(Settings):
    """A feature with its constants: the network sees (clip(transform(x)) - shift) / spread."""

    name: str
    transform: Transform
    clip: tuple[float, float] | None = None
    """Bounds of the transformed value, fitted as `clip_quantiles` says; none leaves it."""
    shift: float = 0.0
    spread: float = 1.0


class FittedGroup(Settings):
    """Features of one kind of object, in the order of the last axis."""

    name: str
    features: tuple[FittedFeature, ...]


class InputSpec(Settings):
    """All that a model needs to know of its data: no files, only names, shapes, constants.

    Model inputs by name, for N candidates:
        `candidate`: (N, feature) float32;
        each other group `g` in `lengths`: `g` (N, lengths[g], feature) float32, and
        `g_mask` (N, lengths[g]) bool, True = real object. Masked values are zero.
    Model output: class probabilities (N, len(classes)) float32, in the order of `classes`.
    """

    candidate: FittedGroup
    groups: tuple[FittedGroup, ...]
    lengths: dict[str, int]
    """Objects kept a candidate, for the groups that the model uses; the keys select the groups."""
    classes: tuple[str, ...]
    """Task classes in output order."""
    signal: tuple[str, ...]
    """Those of `classes` that are signal."""
    heads: Literal["one", "two"] = "one"
    """As `Task.heads`."""

    @property
    def background(self) -> tuple[str, ...]:
        """Those of `classes` that are no signal."""
        return tuple(name for name in self.classes if name not in self.signal)

    def group(self, name: str) -> FittedGroup:
        """Return the group called `name`; KeyError if there is none."""
        return {group.name: group for group in self.groups}[name]


def mask_name(group: str) -> str:
    """Return the name of the mask input of `group`."""
    return f"{group}_mask"
