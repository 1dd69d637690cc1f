"""Jagged columns as flat content and offsets: the form of lists of objects from file to batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError

if TYPE_CHECKING:
    import awkward as ak

Array = NDArray[Any]


class Jagged(NamedTuple):
    """Values of the objects of many candidates, one after the other.

    Candidate `i` has `content[offsets[i]:offsets[i + 1]]`; `content` is (object,) or (object,
    feature), `offsets` (candidate + 1) int64 begins with 0 and ends with `len(content)`.
    """

    content: Array
    offsets: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Objects of each candidate, (candidate,) int64."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> Jagged:
        """Return the candidates `rows`, in that order."""
        index, offsets = take_index(self.offsets, rows)
        return Jagged(self.content[index], offsets)

    def slice(self, start: int, stop: int) -> Jagged:
        """Return the candidates from `start` to `stop`; the content is not copied."""
        part = self.offsets[start : stop + 1]
        return Jagged(self.content[part[0] : part[-1]], part - part[0])


def concatenate(parts: Sequence[Jagged]) -> Jagged:
    """Join the candidates of one or more parts."""
    counts = np.concatenate([part.counts for part in parts])
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return Jagged(np.concatenate([part.content for part in parts]), offsets)


def take_index(
    offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the index that takes the objects of the candidates `rows`, in that order.

    Returns:
        positions in the content (object,), and the offsets of the chosen candidates (row + 1).
    """
    counts = (offsets[1:] - offsets[:-1])[rows]
    chosen = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(counts, out=chosen[1:])
    positions = np.repeat(offsets[:-1][rows] - chosen[:-1], counts)
    positions += np.arange(chosen[-1], dtype=np.int64)
    return positions, chosen


def descending(keys: Array, owners: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """Sort the objects of each candidate by a key, descending and stable.

    Args:
        keys: (object) numbers, none of them NaN.
        owners: (object) candidate, ascending, below 2**32.
    Returns:
        positions in the new order; a slice of everything if the objects are sorted already.
    """
    if np.all((keys[1:] <= keys[:-1]) | (owners[1:] != owners[:-1])):
        return slice(None)
    with np.errstate(over="ignore"):
        single = keys.astype(np.float32) + np.float32(0)  # turns -0.0 into 0.0
    if np.array_equal(single, keys):
        # One integer of owner (high half) and key (low half) sorts ten times as fast as a stable
        # sort by two keys. The bits of positive floats ascend with them, so they are inverted;
        # those of negative floats descend already, and their sign bit puts them last.
        bits = single.view(np.uint32)
        descending_bits = np.where(bits >> np.uint32(31), bits, ~bits & np.uint32(2**31 - 1))
        joined = (owners.astype(np.uint64) << np.uint64(32)) | descending_bits
        order = np.argsort(joined)
        joined = joined[order]
        if not np.any(joined[1:] == joined[:-1]):  # ties need the stable sort
            return order
    return np.lexsort((-keys.astype(np.float64), owners))


def from_array(values: Array | ak.Array, *, name: str) -> Array | Jagged:
    """Convert a column to a flat numpy array (one value a candidate) or `Jagged`.

    Args:
        values: numbers; numpy (candidate,) or (candidate, k), or awkward with at most one level
            of lists.
        name: of the column, for messages.
    Raises:
        DataError: it has no numbers, deeper lists, or missing values.
    """
    if isinstance(values, np.ndarray):
        return _from_numpy(values, name=name)
    return _from_awkward(values, name=name)


def _from_numpy(values: Array, *, name: str) -> Array | Jagged:
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name}: expected numbers, got {values.dtype}")
    if values.ndim == 1:
        return values
    if values.ndim == 2:
        rows, width = values.shape
        return Jagged(values.reshape(-1), np.arange(rows + 1, dtype=np.int64) * width)
    raise DataError(f"{name}: expected one or two dimensions, got shape {values.shape}")


def _from_awkward(values: ak.Array, *, name: str) -> Array | Jagged:
    import awkward as ak

    layout = ak.to_packed(values).layout
    if isinstance(layout, ak.contents.RegularArray):
        layout = layout.to_ListOffsetArray64(True)
    if isinstance(layout, ak.contents.NumpyArray):
        return _from_numpy(np.asarray(layout.data), name=name)
    if (
        isinstance(layout, ak.contents.ListOffsetArray)
        and isinstance(layout.content, ak.contents.NumpyArray)
        and layout.parameter("__array__") is None  # strings are lists of bytes to awkward
    ):
        content = np.asarray(layout.content.data)
        if content.ndim == 1 and content.dtype.kind in "biuf":
            offsets = np.asarray(layout.offsets.data, dtype=np.int64)
            return Jagged(content[: offsets[-1]], offsets)
    raise DataError(
        f"{name}: expected numbers, one or a list of them a candidate, got {values.type.content}"
    )


def to_awkward(jagged: Jagged) -> ak.Array:
    """Return the same values as an awkward array."""
    import awkward as ak

    return ak.Array(
        ak.contents.ListOffsetArray(
            ak.index.Index64(jagged.offsets), ak.contents.NumpyArray(jagged.content)
        )
    )
