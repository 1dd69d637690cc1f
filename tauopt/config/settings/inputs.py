"""Input features of a network: in physical units, with their transforms and fitted constants."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tauopt.config.settings.base import OptionalExpression, Settings

CANDIDATE = "candidate"
"""The group of the candidate's own variables: one row per candidate, no mask."""


class Transform(Settings):
    """Preprocessing transform of a raw feature, applied inside the network.

    In this order: divide, absolute value, clip to [min, max], add the offset, log10. Then come
    the constants, fitted on the training split: clip to the quantiles in `clip_quantiles`, and
    (x - shift) / spread with the constants that `scale` selects.
    """

    divide: float = Field(default=1.0, gt=0)
    """Divisor, for instance 1000 for MeV to GeV or 0.4 for a cone size."""
    abs: bool = False
    """Take the absolute value."""
    min: float | None = None
    """Lower bound; smaller values are clipped to it."""
    max: float | None = None
    """Upper bound; larger values are clipped to it."""
    offset: float = 0.0
    """Offset to add, for instance 1e-6 before a logarithm."""
    log10: bool = False
    """Take the base-10 logarithm."""
    scale: Literal["none", "standard", "minmax", "robust"] = "none"
    """Scaling constants, fitted on the training split: `standard`, mean and standard deviation;
    `minmax`, minimum and range; `robust`, median and interquartile range / 1.349 (the standard
    deviation of a normal distribution)."""
    clip_quantiles: tuple[float, float] | None = Field(default=None, examples=[[0.001, 0.999]])
    """Quantiles of the training split to clip to, before the other constants are fitted."""

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
    """A feature of a dataset file: its branch or expression, and its transform."""

    expression: OptionalExpression = ""
    """Branch or expression over branches; empty means the feature's own name."""


class FittedFeature(Settings):
    """A feature with fitted constants: the network sees (clip(transform(x)) - shift) / spread."""

    name: str
    transform: Transform
    clip: tuple[float, float] | None = None
    """Bounds of the transformed value, fitted for `clip_quantiles`; none does not clip."""
    shift: float = 0.0
    spread: float = 1.0


class FittedGroup(Settings):
    """Features of one kind of object, in the order of the array's last axis."""

    name: str
    features: tuple[FittedFeature, ...]


class InputSpec(Settings):
    """Input specification of a model: names, shapes and constants of its inputs, no files.

    Model inputs by name, for N candidates:
        `candidate`: (N, feature) float32;
        each other group `g` in `lengths`: `g` (N, lengths[g], feature) float32, and
        `g_mask` (N, lengths[g]) bool, True = real object. Masked values are zero.
    Model output: class probabilities (N, len(classes)) float32, in the order of `classes`.
    """

    candidate: FittedGroup
    groups: tuple[FittedGroup, ...]
    lengths: dict[str, int]
    """Objects kept per candidate in each group that the model uses; the keys select the groups."""
    classes: tuple[str, ...]
    """Task classes in output order."""
    signal: tuple[str, ...]
    """Classes that are signal."""
    heads: Literal["one", "two"] = "one"
    """Number of output heads, as `Task.heads`."""

    @property
    def background(self) -> tuple[str, ...]:
        """Classes that are not signal."""
        return tuple(name for name in self.classes if name not in self.signal)

    def group(self, name: str) -> FittedGroup:
        """Return the group called `name`; KeyError if there is none."""
        return {group.name: group for group in self.groups}[name]


def mask_name(group: str) -> str:
    """Return the name of the mask input of `group`."""
    return f"{group}_mask"
