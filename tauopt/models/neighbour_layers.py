"""The layers of a graph network: nearest neighbours, pairs with them, means over them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tauopt.models.preprocessing import PACKAGE, full_precision

FAR = 1e30
"""Squared distance to padding and to oneself: beyond that of any two objects."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class NearestNeighbours(keras.layers.Layer):
    """Find each object's nearest other objects; padding is nobody's neighbour.

    Call with coordinates (N, object, axis) and the mask (N, object) bool. Gives rows of the
    neighbours among all objects of the batch (N * object * neighbour,) int32, and whether they are
    real: False where there are fewer others, and for padding. Distances are in float32 always.

    Args:
        count: neighbours of an object; fewer if there can't be so many.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.count = count

    def call(self, x: Any, real: Any) -> Any:
        """Return rows and mask of the neighbours."""
        length = x.shape[1]
        squared = ops.sum(ops.square(x), axis=-1)
        distance = squared[:, :, None] + squared[:, None, :]
        distance = distance - 2.0 * ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        other = ops.logical_and(real[:, None, :], ops.logical_not(ops.eye(length, dtype="bool")))
        nearness, index = ops.top_k(
            ops.where(other, -distance, -FAR), neighbours(self.count, length)
        )
        there = ops.logical_and(nearness > -FAR / 2, ops.expand_dims(real, -1))
        first = ops.arange(ops.shape(x)[0], dtype="int32")[:, None, None] * length
        return ops.reshape(ops.cast(index, "int32") + first, (-1,)), ops.reshape(there, (-1,))

    def compute_output_spec(self, x: Any, real: Any) -> Any:
        """Return rows int32 and mask bool."""
        return keras.KerasTensor((None,), dtype="int32"), keras.KerasTensor((None,), dtype="bool")

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "count": self.count}


def neighbours(count: int, length: int) -> int:
    """Return how many neighbours an object has among `length` slots, `count` at most."""
    return min(count, max(1, length - 1))


@keras.saving.register_keras_serializable(package=PACKAGE)
class WithNeighbours(keras.layers.Layer):
    """Add to each object's units those of each of its neighbours.

    Call with the units of objects as centres and as neighbours, (N * object, unit) each, and rows
    of the neighbours (N * object * neighbour,); gives (N * object * neighbour, unit).

    Args:
        count: neighbours of each object.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def call(self, centre: Any, neighbour: Any, rows: Any) -> Any:
        """Return the sums."""
        units = centre.shape[-1]
        near = ops.reshape(ops.take(neighbour, rows, axis=0), (-1, self.count, units))
        return ops.reshape(near + ops.expand_dims(centre, 1), (-1, units))

    def compute_output_shape(self, centre_shape: Any, neighbour_shape: Any, rows_shape: Any) -> Any:
        """Return (N * object * neighbour, unit)."""
        return (None, centre_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "count": self.count}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MeanOfReal(keras.layers.Layer):
    """Take the mean over those of each `count` rows that are real.

    Call with rows (n * count, unit) and the mask (n * count,) bool; gives (n, unit), zero where
    none is real.

    Args:
        count: rows of a mean.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def call(self, x: Any, real: Any) -> Any:
        """Return the means."""
        x = ops.where(ops.expand_dims(real, -1), x, 0.0)
        total = ops.sum(ops.reshape(x, (-1, self.count, x.shape[-1])), axis=1)
        number = ops.sum(ops.reshape(ops.cast(real, x.dtype), (-1, self.count)), axis=1)
        return total / ops.maximum(ops.expand_dims(number, -1), 1.0)

    def compute_output_shape(self, x_shape: Any, real_shape: Any) -> Any:
        """Return (n, unit)."""
        return (None, x_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "count": self.count}
