"""Layers of DeepTau: find the leading object of each cell, fill the grid, reshape it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tauopt.models.preprocessing import PACKAGE, full_precision

EDGE_TOLERANCE = 1e-4
"""Objects less than this below a cell's edge, in cells, count as on it: float32 rounds so far."""
OUTSIDE = -1
"""Cell number of padding, and of objects outside the grid."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class LeadingInCell(keras.layers.Layer):
    """Find the cell of each object, and whether it is the cell's leading object.

    Objects are ordered by descending transverse momentum, so the first one in a cell leads. A cell
    includes its lower edges and excludes its upper ones. Call with eta and phi (N, object, 2)
    relative to the grid's centre and the mask (N, object) bool. Returns the cell number (N, object)
    int32, counted along phi first, -1 outside the grid and where masked, and whether the object
    leads its cell (N * object,) bool.

    Args:
        cells: cells along each side of the grid.
        size: side of a cell, in units of eta and phi.
    """

    def __init__(self, cells: int, size: float, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.cells, self.size = cells, size

    def call(self, angles: Any, real: Any) -> Any:
        """Return the cells, and which objects lead."""
        indices = ops.floor(angles / self.size + (self.cells / 2 + EDGE_TOLERANCE))
        inside = ops.all(ops.logical_and(indices >= 0, indices < self.cells), axis=-1)
        inside = ops.logical_and(inside, real)
        number = ops.cast(indices[..., 0] * self.cells + indices[..., 1], "int32")
        cell = ops.where(inside, number, OUTSIDE)
        length = angles.shape[1]
        is_earlier = np.tri(length, k=-1, dtype=bool)  # [i, j]: object j stands before object i
        same_cell = cell[:, :, None] == cell[:, None, :]
        is_occupied = ops.any(ops.logical_and(same_cell, is_earlier), axis=-1)
        leads = ops.logical_and(inside, ops.logical_not(is_occupied))
        return cell, ops.reshape(leads, (-1,))

    def compute_output_spec(self, angles: Any, real: Any) -> Any:
        """Return the specs of the cells, int32, and of the leading mask, bool."""
        cell = keras.KerasTensor((None, angles.shape[1]), dtype="int32")
        return cell, keras.KerasTensor((None,), dtype="bool")

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "cells": self.cells, "size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class FillGrid(keras.layers.Layer):
    """Put the leading objects into their cells; empty cells are zero.

    Call with rows (N * object, unit) and both outputs of `LeadingInCell`; returns one row a cell
    (N * cell * cell, unit).

    Args:
        cells: cells along each side of the grid.
    """

    def __init__(self, cells: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cells = cells

    def call(self, x: Any, cell: Any, leads: Any) -> Any:
        """Return the cells."""
        length, units = cell.shape[1], x.shape[-1]
        cell = ops.where(ops.reshape(leads, (-1, length)), cell, OUTSIDE)
        numbers = np.arange(self.cells**2, dtype=np.int32)[:, None]
        # A product with ones and zeros, (N, cell, object), in place of a scatter.
        is_in_cell = ops.cast(ops.expand_dims(cell, 1) == numbers, x.dtype)
        grid = ops.matmul(is_in_cell, ops.reshape(x, (-1, length, units)))
        return ops.reshape(grid, (-1, units))

    def compute_output_shape(self, x_shape: Any, cell_shape: Any, leads_shape: Any) -> Any:
        """Return (N * cell * cell, unit)."""
        return (None, x_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "cells": self.cells}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Cells(keras.layers.Layer):
    """Reshape rows of cells to grids: (N * cell * cell, unit) -> (N, cell, cell, unit).

    Args:
        cells: cells along each side of the grid.
    """

    def __init__(self, cells: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cells = cells

    def call(self, x: Any) -> Any:
        """Return the grids."""
        return ops.reshape(x, (-1, self.cells, self.cells, x.shape[-1]))

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Return (N, cell, cell, unit)."""
        return (None, self.cells, self.cells, x_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "cells": self.cells}


@keras.saving.register_keras_serializable(package=PACKAGE)
class CellRows(keras.layers.Layer):
    """Reshape grids to one row a cell: (N, cell, cell, unit) -> (N * cell * cell, unit)."""

    def call(self, x: Any) -> Any:
        """Return one row a cell."""
        return ops.reshape(x, (-1, x.shape[-1]))

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Return (N * cell * cell, unit)."""
        return (None, x_shape[-1])
