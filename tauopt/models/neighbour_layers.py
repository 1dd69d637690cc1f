"""Layers of ParticleNet: k nearest neighbours, edge features, masked means."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tauopt.models.preprocessing import PACKAGE, full_precision

FAR = 1e30
"""Squared distance to padding and to the object itself: larger than between any two objects."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class NearestNeighbours(keras.layers.Layer):
    """Find the k nearest neighbours of each object, among the real objects of its candidate.

    Call with coordinates (N, object, axis) and the mask (N, object) bool. Returns the neighbours'
    rows among all objects of the batch (N * object * neighbour,) int32, and a mask of the same
    shape, bool: False where the object has fewer neighbours, and where it is padding itself.
    Distances are computed in float32 always.

    Args:
        count: neighbours of an object; at most the number of other slots.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.count = count

    def call(self, x: Any, real: Any) -> Any:
        """Return rows and mask of the neighbours."""
        length = x.shape[1]
        # |x_i - x_j|^2 = |x_i|^2 + |x_j|^2 - 2 x_i x_j, as one matrix product.
        norm2 = ops.sum(ops.square(x), axis=-1)
        distance2 = norm2[:, :, None] + norm2[:, None, :]
        distance2 = distance2 - 2.0 * ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        is_other = ops.logical_and(real[:, None, :], ops.logical_not(ops.eye(length, dtype="bool")))
        nearness, index = ops.top_k(
            ops.where(is_other, -distance2, -FAR), neighbour_count(self.count, length)
        )
        is_neighbour = ops.logical_and(nearness > -FAR / 2, ops.expand_dims(real, -1))
        first_row = ops.arange(ops.shape(x)[0], dtype="int32")[:, None, None] * length
        rows = ops.cast(index, "int32") + first_row
        return ops.reshape(rows, (-1,)), ops.reshape(is_neighbour, (-1,))

    def compute_output_spec(self, x: Any, real: Any) -> Any:
        """Return the specs of the rows, int32, and of the mask, bool."""
        return keras.KerasTensor((None,), dtype="int32"), keras.KerasTensor((None,), dtype="bool")

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "count": self.count}


def neighbour_count(count: int, length: int) -> int:
    """Return the neighbours that an object has among `length` slots, at most `count`."""
    return min(count, max(1, length - 1))


@keras.saving.register_keras_serializable(package=PACKAGE)
class WithNeighbours(keras.layers.Layer):
    """Add the units of each neighbour to those of its central object, one row an edge.

    Call with the units of all objects as centres and as neighbours, (N * object, unit) each, and
    the neighbours' rows (N * object * neighbour,); returns (N * object * neighbour, unit).

    Args:
        count: neighbours of each object.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def call(self, centre: Any, neighbour: Any, rows: Any) -> Any:
        """Return the sums."""
        units = centre.shape[-1]
        neighbours = ops.reshape(ops.take(neighbour, rows, axis=0), (-1, self.count, units))
        return ops.reshape(neighbours + ops.expand_dims(centre, 1), (-1, units))

    def compute_output_shape(self, centre_shape: Any, neighbour_shape: Any, rows_shape: Any) -> Any:
        """Return (N * object * neighbour, unit)."""
        return (None, centre_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "count": self.count}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MeanOfReal(keras.layers.Layer):
    """Average each `count` consecutive rows over the real ones among them.

    Call with rows (n * count, unit) and the mask (n * count,) bool; returns (n, unit), zero where
    no row is real.

    Args:
        count: rows in each mean, padding included.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def call(self, x: Any, real: Any) -> Any:
        """Return the means."""
        x = ops.where(ops.expand_dims(real, -1), x, 0.0)
        total = ops.sum(ops.reshape(x, (-1, self.count, x.shape[-1])), axis=1)
        n_real = ops.sum(ops.reshape(ops.cast(real, x.dtype), (-1, self.count)), axis=1)
        return total / ops.maximum(ops.expand_dims(n_real, -1), 1.0)

    def compute_output_shape(self, x_shape: Any, real_shape: Any) -> Any:
        """Return (n, unit)."""
        return (None, x_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "count": self.count}
