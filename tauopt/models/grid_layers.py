"""The layers of a network on grids: which object leads a cell, the grid's filling, its rows."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tauopt.models.preprocessing import PACKAGE, full_precision

ON_EDGE = 1e-4
"""An object so little below a cell's edge, in cells, is on it: float32 can't tell."""
OUTSIDE = -1
"""Cell of an object that is padding or lies outside the grid."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class LeadingInCell(keras.layers.Layer):
    """Find the cell of each object, and whether it is the first one there.

    Objects come ordered by transverse momentum, so the first in a cell is the leading one. A cell
    holds its lower edges and not its upper ones. Call with eta and phi (N, object, 2) relative to
    the grid's centre and the mask (N, object) bool; gives the cell (N, object) int32, counted
    along phi first, or -1 outside and where masked, and whether it leads (N * object,) bool.

    Args:
        cells: along each side.
        size: side of a cell.
    """

    def __init__(self, cells: int, size: float, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.cells, self.size = cells, size

    def call(self, angles: Any, real: Any) -> Any:
        """Return cells, and which objects lead."""
        step = ops.floor(angles / self.size + (self.cells / 2 + ON_EDGE))
        inside = ops.all(ops.logical_and(step >= 0, step < self.cells), axis=-1)
        inside = ops.logical_and(inside, real)
        number = ops.cast(step[..., 0] * self.cells + step[..., 1], "int32")
        cell = ops.where(inside, number, OUTSIDE)
        length = angles.shape[1]
        earlier = np.tri(length, k=-1, dtype=bool)
        taken = ops.any(ops.logical_and(cell[:, :, None] == cell[:, None, :], earlier), axis=-1)
        leads = ops.logical_and(inside, ops.logical_not(taken))
        return cell, ops.reshape(leads, (-1,))

    def compute_output_spec(self, angles: Any, real: Any) -> Any:
        """Return cells int32 and mask bool."""
        cell = keras.KerasTensor((None, angles.shape[1]), dtype="int32")
        return cell, keras.KerasTensor((None,), dtype="bool")

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "cells": self.cells, "size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class FillGrid(keras.layers.Layer):
    """Put the leading objects into their cells; empty cells are zero.

    Call with rows (N * object, unit), and what `LeadingInCell` gives; gives one row a cell
    (N * cell * cell, unit).

    Args:
        cells: along each side.
    """

    def __init__(self, cells: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cells = cells

    def call(self, x: Any, cell: Any, leads: Any) -> Any:
        """Return the cells."""
        length, units = cell.shape[1], x.shape[-1]
        cell = ops.where(ops.reshape(leads, (-1, length)), cell, OUTSIDE)
        numbers = np.arange(self.cells**2, dtype=np.int32)[:, None]
        holds = ops.cast(ops.expand_dims(cell, 1) == numbers, x.dtype)
        grid = ops.matmul(holds, ops.reshape(x, (-1, length, units)))
        return ops.reshape(grid, (-1, units))

    def compute_output_shape(self, x_shape: Any, cell_shape: Any, leads_shape: Any) -> Any:
        """Return (N * cell * cell, unit)."""
        return (None, x_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "cells": self.cells}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Cells(keras.layers.Layer):
    """Give rows back to their grids: (N * cell * cell, unit) -> (N, cell, cell, unit).

    Args:
        cells: along each side.
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
    """Lay the cells of all grids below each other: (N, cell, cell, unit) -> (row, unit)."""

    def call(self, x: Any) -> Any:
        """Return one row a cell."""
        return ops.reshape(x, (-1, x.shape[-1]))

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Return (row, unit)."""
        return (None, x_shape[-1])
