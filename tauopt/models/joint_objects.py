"""All objects of a candidate together, of whatever group, and where they are."""

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
"""Coordinates are clipped to +-this: far outside any detector, and finite in products."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class RawFeatures(keras.layers.Layer):
    """Take features as the dataset has them, clipped; zero where masked. In float32 always.

    Call with rows (row, feature) and real (row,) bool; gives (row, column).

    Args:
        columns: positions of the features.
        low: clip from below.
        high: clip from above.
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
class Together:
    """Objects of several groups as those of one.

    Attributes:
        x: (N, object, unit).
        real: (N, object) bool, True = real object.
        real_rows: (N * object,) bool.
        length: objects a candidate.
    """

    x: Any
    real: Any
    real_rows: Any
    length: int


def together(
    groups: dict[str, PreprocessedGroup], embed: Callable[[str, PreprocessedGroup], Any]
) -> Together:
    """Put the objects of all groups behind each other.

    Args:
        groups: at least one.
        embed: makes rows (N * object, unit) of a group, of the same width for each.
    """
    embedded = {name: embed(name, group) for name, group in groups.items()}
    real = _joined([group.real for group in groups.values()], name="objects_mask")
    return Together(
        x=joined(embedded, groups, name="objects"),
        real=real,
        real_rows=Rows(name="objects_mask_rows")(real),
        length=sum(group.length for group in groups.values()),
    )


def joined(
    rows: dict[str, Any], groups: dict[str, PreprocessedGroup], *, name: str, **kwargs: Any
) -> Any:
    """Return rows (N * object, unit) of each group as (N, object, unit) of all of them."""
    parts = [
        Objects(groups[group].length, name=f"{group}_{name}", **kwargs)(x)
        for group, x in rows.items()
    ]
    return _joined(parts, name=name, **kwargs)


def _joined(parts: list[Any], *, name: str, **kwargs: Any) -> Any:
    return parts[0] if len(parts) == 1 else layers.Concatenate(axis=1, name=name, **kwargs)(parts)


def raw_features(
    groups: dict[str, PreprocessedGroup],
    names: Sequence[str],
    *,
    name: str,
    bounds: tuple[float, float],
) -> Any:
    """Return features as the dataset has them, (N, object, name).

    Args:
        groups: at least one.
        names: of the features; of several words in one, a group's first counts.
        name: of the layers.
        bounds: values are clipped to these.
    Raises:
        ValueError: a group has none of them.
    """
    rows = {}
    for group, objects in groups.items():
        columns = [
            objects.features.index(first_feature(words, objects.features, group=group))
            for words in names
        ]
        take = RawFeatures(columns, *bounds, name=f"{group}_{name}_raw")
        rows[group] = take(objects.raw, objects.real_rows)
    return joined(rows, groups, name=name, dtype=full_precision())
