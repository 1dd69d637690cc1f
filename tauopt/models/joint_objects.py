"""Concatenate the objects of all groups of a candidate, and take their raw features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from tauopt.config.settings.networks.input_selection import first_feature
from tauopt.models.blocks import PreprocessedGroup
from tauopt.models.object_layers import Objects, Rows
from tauopt.models.preprocessing import PACKAGE, full_precision

LARGEST_ANGLE = 1e3
"""Eta and phi are clipped to +-this: far outside any detector, and finite in products."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class RawFeatures(keras.layers.Layer):
    """Select raw features and clip them; zero where masked; always in float32.

    Call with rows (row, feature) and the mask (row,) bool, True = real; returns (row, column).

    Args:
        columns: positions of the features.
        low: lower bound of the values.
        high: upper bound of the values.
    """

    def __init__(self, columns: Sequence[int], low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.columns, self.low, self.high = list(columns), low, high

    def call(self, x: Any, real: Any) -> Any:
        """Return the features."""
        x = ops.clip(ops.take(x, self.columns, axis=-1), self.low, self.high)
        return ops.where(ops.expand_dims(real, -1), x, 0.0)

    def compute_output_shape(self, x_shape: Any, real_shape: Any) -> Any:
        """Return (row, column)."""
        return (x_shape[0], len(self.columns))

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        bounds = {"low": self.low, "high": self.high}
        return {**super().get_config(), "columns": self.columns, **bounds}


@dataclass(frozen=True)
class JointObjects:
    """Embedded objects of several groups, concatenated.

    Attributes:
        x: embedded objects (N, object, unit).
        real: mask (N, object) bool, True = real object.
        real_rows: mask (N * object,) bool.
        length: objects a candidate, padding included.
    """

    x: Any
    real: Any
    real_rows: Any
    length: int


def join_objects(
    groups: dict[str, PreprocessedGroup], embed: Callable[[str, PreprocessedGroup], Any]
) -> JointObjects:
    """Embed the objects of each group, and concatenate them.

    Args:
        groups: at least one group, by name.
        embed: name and group -> rows (N * object, unit), with the same units for all groups.
    """
    embedded = {name: embed(name, group) for name, group in groups.items()}
    real = _concatenate([group.real for group in groups.values()], name="objects_mask")
    return JointObjects(
        x=_join_rows(embedded, groups, name="objects"),
        real=real,
        real_rows=Rows(name="objects_mask_rows")(real),
        length=sum(group.length for group in groups.values()),
    )


def _join_rows(
    rows: dict[str, Any], groups: dict[str, PreprocessedGroup], *, name: str, **kwargs: Any
) -> Any:
    """Concatenate rows (N * object, unit) of each group to (N, object, unit) of all groups."""
    parts = [
        Objects(groups[group].length, name=f"{group}_{name}", **kwargs)(x)
        for group, x in rows.items()
    ]
    return _concatenate(parts, name=name, **kwargs)


def _concatenate(parts: list[Any], *, name: str, **kwargs: Any) -> Any:
    return parts[0] if len(parts) == 1 else layers.Concatenate(axis=1, name=name, **kwargs)(parts)


def raw_features(
    groups: dict[str, PreprocessedGroup],
    names: Sequence[str],
    *,
    name: str,
    bounds: tuple[float, float],
) -> Any:
    """Return raw features of all objects, without preprocessing, (N, object, feature).

    Args:
        groups: at least one group, by name.
        names: names of the features; where one holds several words, for instance "pt et", each
            group uses the first word that it has a feature of.
        name: name of the layers.
        bounds: lowest and highest value; others are clipped to them.
    Raises:
        ValueError: a group has no feature of a name.
    """
    rows = {}
    for group, objects in groups.items():
        columns = [
            objects.features.index(first_feature(words, objects.features, group=group))
            for words in names
        ]
        layer = RawFeatures(columns, *bounds, name=f"{group}_{name}_raw")
        rows[group] = layer(objects.raw, objects.real_rows)
    return _join_rows(rows, groups, name=name, dtype=full_precision())
