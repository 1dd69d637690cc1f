"""Columns of events as flat content and offsets, up to two lists deep."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.physics.jagged import Array, Jagged, take_index

if TYPE_CHECKING:
    import awkward as ak

Offsets = NDArray[np.int64]


class Nested(NamedTuple):
    """Numbers in lists in lists, one after the other.

    `offsets` are those of each level, outermost first: none for one number an event, one for a
    list of them, two for a list of lists.
    """

    content: Array
    offsets: tuple[Offsets, ...]

    @property
    def items(self) -> Array | Jagged:
        """What the outermost lists hold, over all events: numbers, or lists of numbers."""
        if len(self.offsets) < 2:
            return self.content
        return Jagged(self.content, self.offsets[1])


def from_awkward(values: ak.Array, *, name: str) -> Nested:
    """Take an awkward array of numbers apart.

    Raises:
        DataError: it holds other things than numbers, or is more than two lists deep.
    """
    import awkward as ak

    layout = ak.to_packed(values).layout
    offsets: list[Offsets] = []
    while len(offsets) < 2:
        if isinstance(layout, ak.contents.RegularArray):
            layout = layout.to_ListOffsetArray64(True)
        lists = isinstance(layout, ak.contents.ListOffsetArray)
        if not lists or layout.parameter("__array__"):  # strings are lists of bytes to awkward
            break
        offsets.append(np.asarray(layout.offsets.data, dtype=np.int64))
        layout = layout.content[: offsets[-1][-1]]
    if isinstance(layout, ak.contents.NumpyArray):
        content = np.asarray(layout.data)
        if content.ndim == 2 and len(offsets) < 2:  # fixed numbers of values
            offsets.append(np.arange(len(content) + 1, dtype=np.int64) * content.shape[1])
            content = content.reshape(-1)
        if content.ndim == 1 and content.dtype.kind in "biuf":
            return Nested(content, tuple(offsets))
    raise DataError(f"{name}: expected numbers in at most two lists, got {values.type.content}")


def take(items: Array | Jagged, rows: NDArray[np.int64]) -> Array | Jagged:
    """Return the items `rows`, in that order; each a number or a list."""
    return items.take(rows) if isinstance(items, Jagged) else items[rows]


def repeat(column: Nested, events: NDArray[np.int64], *, name: str) -> Array | Jagged:
    """Give each candidate its event's value, or its event's whole list.

    Args:
        column: of the event.
        events: number of each candidate's event, (candidate,).
        name: for messages.
    Raises:
        DataError: it is two lists deep.
    """
    if not column.offsets:
        return column.content[events]
    if len(column.offsets) > 1:
        raise DataError(f"{name}: a list of lists belongs to the event; expected numbers or a list")
    index, offsets = take_index(column.offsets[0], events)
    return Jagged(column.content[index], offsets)
