"""Read the numbers of HDF5 tables that pandas wrote, without PyTables.

`to_hdf(format="table")` writes a compound dataset `table` in which columns of one type share a
field, and their names into a pickled attribute. The fixed format has one array for each type of
number, and the names in a second one.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tauopt.ntuples.hdf5_parts import check_dataset, native
from tauopt.ntuples.source import Column
from tauopt.physics.jagged import Array, Jagged

_KIND = "pandas_type"


class _PlainUnpickler(pickle.Unpickler):
    """Unpickle lists of text and numbers; refuse everything that would run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a name of a column is a {module}.{name}")


def _names(attribute: Any) -> list[str]:
    """Return the column names in a pickled attribute."""
    data = attribute if isinstance(attribute, bytes) else bytes(attribute)
    return [str(name) for name in _PlainUnpickler(io.BytesIO(data)).load()]


def pandas_part(group: Any) -> PandasPart | None:
    """Return the columns of a group that pandas wrote; None for any other group."""
    kind = group.attrs.get(_KIND, b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind == "frame_table" and "table" in group:
        return PandasPart(_table_fields(group["table"]))
    if kind == "frame":
        return PandasPart(_blocks(group))
    return None


class _Slot:
    """Position of one column: in a field of a table, or in an array (then `field` is empty)."""

    def __init__(self, dataset: Any, field: str, index: int | None) -> None:
        self.dataset = dataset
        self.field = field
        self.index = index
        self.dtype = dataset.dtype[field] if field else dataset.dtype


def _table_fields(table: Any) -> dict[str, _Slot]:
    slots = {}
    for field in table.dtype.names:
        names = [field]
        if f"{field}_kind" in table.attrs and table.dtype[field].shape:
            names = _names(table.attrs[f"{field}_kind"])
        for index, name in enumerate(names):
            slots[name] = _Slot(table, field, index if table.dtype[field].shape else None)
    return slots


def _blocks(group: Any) -> dict[str, _Slot]:
    slots = {}
    for number in range(int(group.attrs["nblocks"])):
        values, items = group[f"block{number}_values"], group[f"block{number}_items"]
        if values.ndim == 2 and items.dtype.kind == "S":
            for index, name in enumerate(items[:]):
                slots[name.decode()] = _Slot(values, "", index)
    return slots


class PandasPart:
    """The columns of one data frame."""

    one_row = True

    def __init__(self, slots: Mapping[str, _Slot]) -> None:
        self._slots = slots
        self.entries = next((int(slot.dataset.shape[0]) for slot in slots.values()), 0)
        self.columns = {name: _column(slot) for name, slot in slots.items()}

    def check_written(self, names: Sequence[str]) -> None:
        """See `ColumnPart`."""
        for dataset in {id(self._slots[n].dataset): self._slots[n].dataset for n in names}.values():
            check_dataset(dataset)

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array | Jagged]:
        """See `ColumnPart`; a field or an array is read once for all of its columns."""
        blocks: dict[tuple[str, str], Array] = {}
        result: dict[str, Array | Jagged] = {}
        for name in names:
            slot = self._slots[name]
            key = (slot.dataset.name, slot.field)
            if key not in blocks:
                dataset = slot.dataset.fields(slot.field) if slot.field else slot.dataset
                blocks[key] = np.asarray(dataset[start:stop])
            values = blocks[key] if slot.index is None else blocks[key][:, slot.index]
            result[name] = native(values)
        return result


def _column(slot: _Slot) -> Column:
    base = slot.dtype.base
    return Column(str(base), False if base.kind in "biuf" else None, int(slot.dataset.shape[0]))
