"""Arrow's types and arrays -> which branches there are, and their numbers.

A branch is a column of numbers or of lists of numbers. Of records (`tracks`: a list of `pt` and
`d0`) every field is a branch: `tracks.pt`. A missing number among floats becomes NaN, which the
dataset's policy for missing values then sees; a missing integer, list or record is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tauopt.errors import DataError
from tauopt.physics.jagged import Array, Jagged, from_array


class Leaf(NamedTuple):
    """Where a branch stands in the schema."""

    path: tuple[str, ...]
    """Column, and the names of the fields below it."""
    type: str
    jagged: bool | None
    """As `Column.jagged`."""


def leaves(schema: Any) -> dict[str, Leaf]:
    """Return all branches of a schema by their dotted names."""
    found: dict[str, Leaf] = {}
    for field in schema:
        found |= {".".join(leaf.path): leaf for leaf in _leaves((field.name,), field.type, False)}
    return found


def _leaves(path: tuple[str, ...], kind: Any, jagged: bool) -> Iterator[Leaf]:
    import pyarrow.types as is_a

    kind = getattr(kind, "storage_type", kind)  # awkward wraps types when it writes Feather
    if is_a.is_struct(kind):
        for field in kind:
            yield from _leaves((*path, field.name), field.type, jagged)
    elif not jagged and _is_list(kind):
        yield from _leaves(path, kind.value_type, True)
    else:
        number = is_a.is_integer(kind) or is_a.is_floating(kind) or is_a.is_boolean(kind)
        yield Leaf(path, f"list of {kind}" if jagged else str(kind), jagged if number else None)


def _is_list(kind: Any) -> bool:
    import pyarrow.types as is_a

    return bool(is_a.is_list(kind) or is_a.is_large_list(kind) or is_a.is_fixed_size_list(kind))


def values(table: Any, leaf: Leaf, *, where: str) -> Array | Jagged:
    """Return the numbers of a branch.

    Args:
        table: a pyarrow Table.
        leaf: of its schema.
        where: file and branch, for messages.
    Raises:
        DataError: something that has no NaN is missing.
    """
    import pyarrow

    chunks = table.column(leaf.path[0]).chunks
    array = pyarrow.concat_arrays(chunks) if len(chunks) != 1 else chunks[0]
    counts = None
    rest = list(leaf.path[1:])
    while True:
        array = getattr(array, "storage", array)
        if _is_list(array.type):
            _refuse_missing(array, where)
            counts = array.value_lengths().to_numpy(zero_copy_only=False)
            array = array.flatten()
        elif rest:
            _refuse_missing(array, where)
            array = array.field(rest.pop(0))
        else:
            break
    content = _numbers(array, where)
    if counts is None:
        return from_array(content, name=where)
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return Jagged(content, offsets)


def _numbers(array: Any, where: str) -> Array:
    import pyarrow.types as is_a

    if not is_a.is_floating(array.type):
        _refuse_missing(array, where)
    found = np.asarray(array.to_numpy(zero_copy_only=False))
    return found.astype(np.float32) if found.dtype == np.float16 else found


def _refuse_missing(array: Any, where: str) -> None:
    if array.null_count:
        raise DataError(
            f"{where}holds {array.null_count} missing values where only floats may be missing"
        )
