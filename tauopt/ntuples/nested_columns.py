"""Columns of events as flat content and offsets, for lists up to two levels deep."""

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
    """Numbers, lists of numbers or lists of lists, one an event, as flat content and offsets.

    `offsets` has one array for each level of lists, outermost first: none for one number an event,
    one for a list, two for a list of lists.
    """

    content: Array
    offsets: tuple[Offsets, ...]

    @property
    def items(self) -> Array | Jagged:
        """Items of the outermost lists of all events: numbers, or lists of numbers."""
        if len(self.offsets) < 2:
            return self.content
        return Jagged(self.content, self.offsets[1])


def from_awkward(values: ak.Array, *, name: str) -> Nested:
    """Split an awkward array of numbers into content and offsets.

    Raises:
        DataError: it holds anything but numbers, or lists of more than two levels.
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
        if content.ndim == 2 and len(offsets) < 2:  # lists of fixed length
            offsets.append(np.arange(len(content) + 1, dtype=np.int64) * content.shape[1])
            content = content.reshape(-1)
        if content.ndim == 1 and content.dtype.kind in "biuf":
            return Nested(content, tuple(offsets))
    raise DataError(f"{name}: expected numbers in at most two lists, got {values.type.content}")


def take(items: Array | Jagged, rows: NDArray[np.int64]) -> Array | Jagged:
    """Return the items `rows`, in that order; an item is a number or a list."""
    return items.take(rows) if isinstance(items, Jagged) else items[rows]


def repeat(column: Nested, events: NDArray[np.int64], *, name: str) -> Array | Jagged:
    """Repeat each event's value or list for its candidates.

    Args:
        column: one value or list an event.
        events: number of each candidate's event, (candidate,).
        name: for messages.
    Raises:
        DataError: the column holds lists of lists.
    """
    if not column.offsets:
        return column.content[events]
    if len(column.offsets) > 1:
        raise DataError(f"{name}: a list of lists belongs to the event; expected numbers or a list")
    index, offsets = take_index(column.offsets[0], events)
    return Jagged(column.content[index], offsets)
