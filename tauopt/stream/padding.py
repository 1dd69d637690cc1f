"""Pad jagged objects to a fixed length, in compiled loops that gather, truncate, pad and mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from tauopt.stream.compiled_loops import compiled

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

# Inputs may be memory maps, hence read-only. The loops run over flat arrays, in which a candidate's
# objects are contiguous. All indices are unsigned: numba lets signed ones count from the end, and
# the test for it prevents vectorisation (2.5 times slower).
_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_INDICES = types.Array(types.uint64, 1, "C", readonly=True)
_SIZE = types.uint64
_PAD = types.void(_FLOATS, _INDICES, _INDICES, _SIZE, _SIZE, types.float32[::1], types.boolean[::1])
_TAKE = types.void(_FLOATS, _INDICES, _SIZE, types.float32[::1])


@compiled(_PAD)
def _pad(
    values: Any, offsets: Any, rows: Any, length: Any, features: Any, out: Any, mask: Any
) -> None:
    one, zero = np.uint64(1), np.float32(0.0)
    stride = length * features
    for i in range(np.uint64(rows.shape[0])):
        begin = offsets[rows[i]]
        kept = min(offsets[rows[i] + one] - begin, length)
        source, target, mask_begin = begin * features, i * stride, i * length
        for k in range(kept * features):
            out[target + k] = values[source + k]
        for k in range(kept * features, stride):
            out[target + k] = zero
        for j in range(length):
            mask[mask_begin + j] = j < kept


@compiled(_TAKE)
def _take(values: Any, rows: Any, features: Any, out: Any) -> None:
    for i in range(np.uint64(rows.shape[0])):
        source, target = rows[i] * features, i * features
        for k in range(features):
            out[target + k] = values[source + k]


def pad_into(
    jagged: tuple[Floats, Integers], rows: Integers, *, out: Floats, mask: npt.NDArray[np.bool_]
) -> None:
    """Gather jagged rows, truncate them to a fixed length, and pad with zeros.

    Args:
        jagged: values (object, feature) float32 and offsets (candidate + 1) int64, both C-ordered;
            the offsets must be checked before, as `Chunk.group` does.
        rows: (row) int64, candidates in any order, also repeatedly.
        out: (row, length, feature) float32, C-ordered; every element is written.
        mask: (row, length) bool, C-ordered; True = real object; every element is written.
    Raises:
        IndexError: a row is not a candidate.
        ValueError: shapes disagree.
    """
    values, offsets = jagged
    _check_rows(rows, len(offsets) - 1)
    if out.shape != (*mask.shape, values.shape[1]) or mask.shape[0] != len(rows):
        raise ValueError(
            f"{len(rows)} rows of {values.shape[1]} features do not fit into values {out.shape} "
            f"and mask {mask.shape}"
        )
    length, features = np.uint64(mask.shape[1]), np.uint64(values.shape[1])
    _pad(
        _flat(values),
        _unsigned(offsets),
        _unsigned(rows),
        length,
        features,
        _flat(out),
        _flat(mask),
    )


def take_into(values: Floats, rows: Integers, *, out: Floats) -> None:
    """Gather rows of a table: `out[:] = values[rows]`, at twice numpy's speed for short rows.

    Args:
        values: (candidate, feature) float32, C-ordered.
        rows: (row) int64.
        out: (row, feature) float32, C-ordered; every element is written.
    Raises:
        IndexError: a row is not a candidate.
        ValueError: shapes disagree.
    """
    _check_rows(rows, len(values))
    if out.shape != (len(rows), values.shape[1]):
        raise ValueError(f"{len(rows)} rows of {values.shape} do not fit into {out.shape}")
    _take(_flat(values), _unsigned(rows), np.uint64(values.shape[1]), _flat(out))


def _unsigned(indices: Integers) -> npt.NDArray[np.uint64]:
    return indices.view(np.uint64)


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """View an array as one axis; not a copy, into which outputs would be lost."""
    if not array.flags.c_contiguous:
        raise ValueError("expected a C-ordered array")
    return array.reshape(-1)


def _check_rows(rows: Integers, count: int) -> None:
    if len(rows) and (rows.min() < 0 or rows.max() >= count):
        raise IndexError(
            f"rows {rows.min()} to {rows.max()} exceed the range of {count} candidates"
        )
