"""Parts of an HDF5 file that hold columns: compound datasets, and groups of plain datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.source import Column
from tauopt.physics.jagged import Array, Jagged, from_array

VALID = "valid"
"""Boolean field of a compound dataset: True for objects, False for padding."""
_PIECE_BYTES = 32 * 2**20
"""Padded rows are read in pieces of this size, so that padding never fills the memory."""


class ColumnPart(Protocol):
    """Columns of a file that are stored, and therefore read, together."""

    @property
    def entries(self) -> int:
        """Number of rows."""

    @property
    def one_row(self) -> bool:
        """Whether it has one row a candidate, and no axis of objects."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """Columns by name."""

    def check_written(self, names: Sequence[str]) -> None:
        """Check that the columns are stored in this file, and were written whole.

        Raises:
            BadFileError: parts were never written. DataError: it is stored in another file.
        """

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array | Jagged]:
        """Read the rows [start, stop)."""


def check_dataset(dataset: Any) -> None:
    """Check that a dataset is stored in its own file, was written whole, and can be unpacked.

    Raises:
        BadFileError: parts of it were never written, or its compression filter is missing.
        DataError: it is stored in other files, whose changes a digest would not notice.
    """
    where = f"{dataset.file.filename}: dataset {dataset.name!r}"
    if dataset.is_virtual or dataset.external:
        raise DataError(f"{where} is kept in other files; name these in `files` instead")
    if not dataset.size:
        return
    _check_filters(dataset, where)
    if dataset.chunks is None:
        expected = dataset.size * dataset.id.get_type().get_size()
        written = dataset.id.get_storage_size()
        if written < expected:
            raise BadFileError(f"{where} has {written} bytes of {expected}: never written whole")
        return
    # HDF5 reads a chunk that was never written, or that a damaged index lost, as zeros
    chunks = [-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True)]
    stored = dataset.id.get_num_chunks()
    if stored < int(np.prod(chunks)):
        raise BadFileError(f"{where} has {stored} of {np.prod(chunks)} chunks: never written whole")


def _check_filters(dataset: Any, where: str) -> None:
    import h5py

    plist = dataset.id.get_create_plist()
    for index in range(plist.get_nfilters()):
        code, _, _, name = plist.get_filter(index)
        if not h5py.h5z.filter_avail(code):
            raise BadFileError(
                f"{where} is compressed with {name.decode(errors='replace') or code}, which HDF5 "
                "can't read without a plug-in: repack it with `h5repack -f GZIP=4`"
            )


class CompoundPart:
    """A compound dataset, (candidate,) or (candidate, object); `valid` marks real objects."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.entries = int(dataset.shape[0])
        self.one_row = dataset.ndim == 1

    @cached_property
    def columns(self) -> dict[str, Column]:
        """See `ColumnPart`."""
        return {name: self._column(name) for name in self._dataset.dtype.names}

    def _column(self, name: str) -> Column:
        dtype = self._dataset.dtype[name]
        if (inner := list_type(dtype)) is not None and self.one_row:
            return _list_column(inner, self.entries)
        axes = len(dtype.shape) + self._dataset.ndim - 1
        text = f"{_type_name(dtype.base)}{[*self._dataset.shape[1:], *dtype.shape] if axes else ''}"
        numeric = dtype.base.kind in "biuf" and axes <= 1
        return Column(text, bool(axes) if numeric else None, self.entries)

    def check_written(self, names: Sequence[str]) -> None:
        """See `ColumnPart`."""
        del names
        check_dataset(self._dataset)

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array | Jagged]:
        """See `ColumnPart`."""
        if self.one_row:
            return {
                name: join_lists(values)
                if list_type(values.dtype)
                else from_array(values, name=name)
                for name, values in self._fields(names, start, stop).items()
            }
        width = sum(self._dataset.dtype[name].itemsize for name in names) + 1
        rows = int(max(1, _PIECE_BYTES // (width * max(1, int(self._dataset.shape[1])))))
        pieces = []
        for first in range(start, max(stop, start + 1), rows):  # one empty piece if start == stop
            pieces.append(self._objects(names, first, min(first + rows, stop)))
        counts = np.concatenate([counts for counts, _ in pieces])
        offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        return {
            name: Jagged(np.concatenate([values[name] for _, values in pieces]), offsets)
            for name in names
        }

    def _objects(
        self, names: Sequence[str], start: int, stop: int
    ) -> tuple[NDArray[np.int64], dict[str, Array]]:
        """Read padded rows; return the number of objects of each, and values without padding."""
        has_valid = VALID in self._dataset.dtype.names
        to_read = [*names, VALID] if has_valid and VALID not in names else list(names)
        fields = self._fields(to_read, start, stop)
        shape = (stop - start, self._dataset.shape[1])
        valid = fields[VALID].astype(np.bool_) if has_valid else np.ones(shape, dtype=np.bool_)
        return valid.sum(axis=1), {name: fields[name][valid] for name in names}

    def _fields(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array]:
        rows = self._dataset.fields(list(names))[start:stop]
        return {name: native(rows[name]) for name in names}


class GroupPart:
    """Plain datasets of one group: (candidate,), lists, or (candidate, slot) padded with NaN.

    A slot is padding if all float datasets of its shape are NaN there and in all later slots of
    the row. So an object may have NaN in some datasets, or in all if a later slot has a number.
    """

    one_row = False

    def __init__(self, datasets: Mapping[str, Any]) -> None:
        self._datasets = datasets
        first = next(iter(datasets.values()))
        self.entries = int(first.shape[0])

    @cached_property
    def columns(self) -> dict[str, Column]:
        """See `ColumnPart`."""
        return {name: self._column(dataset) for name, dataset in self._datasets.items()}

    def _column(self, dataset: Any) -> Column:
        if (inner := list_type(dataset.dtype)) is not None and dataset.ndim == 1:
            return _list_column(inner, int(dataset.shape[0]))
        text = f"{_type_name(dataset.dtype)}{list(dataset.shape[1:]) if dataset.ndim > 1 else ''}"
        numeric = dataset.dtype.kind in "biuf" and dataset.ndim <= 2
        return Column(text, dataset.ndim == 2 if numeric else None, int(dataset.shape[0]))

    def check_written(self, names: Sequence[str]) -> None:
        """See `ColumnPart`."""
        siblings = {other for name in names for other in self._float_siblings(name)}
        for name in {*names, *siblings}:
            check_dataset(self._datasets[name])

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array | Jagged]:
        """See `ColumnPart`."""
        values = {name: native(self._datasets[name][start:stop]) for name in names}
        result: dict[str, Array | Jagged] = {
            name: join_lists(v) if list_type(v.dtype) else v
            for name, v in values.items()
            if v.ndim == 1
        }
        for shape in {self._datasets[name].shape for name, v in values.items() if v.ndim == 2}:
            padded = {n: v for n, v in values.items() if self._datasets[n].shape == shape}
            valid = self._valid(padded, start, stop)
            offsets = np.zeros(len(valid) + 1, dtype=np.int64)
            np.cumsum(valid.sum(axis=1), out=offsets[1:])
            result |= {name: Jagged(v[valid], offsets) for name, v in padded.items()}
        return result

    def _valid(self, padded: Mapping[str, Array], start: int, stop: int) -> NDArray[np.bool_]:
        """Return which slots hold an object, (candidate, slot)."""
        first, values = next(iter(padded.items()))
        # all of them, requested or not, so that the request never changes the number of objects
        siblings = self._float_siblings(first)
        has_number = np.full(values.shape, not siblings)
        for name in siblings:
            column = padded[name] if name in padded else self._datasets[name][start:stop]
            has_number |= ~np.isnan(column)
        # a slot holds an object if it or any later slot has a number
        return np.asarray(np.logical_or.accumulate(has_number[:, ::-1], axis=1)[:, ::-1])

    def _float_siblings(self, name: str) -> list[str]:
        """Return the float datasets with the shape of this one; integers have no NaN."""
        shape = self._datasets[name].shape
        return [
            other
            for other, dataset in self._datasets.items()
            if dataset.shape == shape and len(shape) == 2 and dataset.dtype.kind == "f"
        ]


def native(values: Array) -> Array:
    """Return numbers in this machine's byte order; half precision becomes single."""
    if values.dtype.kind == "O":
        return values
    if values.dtype.kind == "f" and values.dtype.itemsize == 2:
        return values.astype(np.float32)
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def list_type(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return the type of the numbers in variable-length lists; None for any other type."""
    import h5py

    inner = h5py.check_vlen_dtype(dtype)
    return inner if isinstance(inner, np.dtype) and inner.kind in "biuf" else None


def _type_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a type; h5py gives types unknown to numpy the dtype object."""
    import h5py

    if dtype.kind != "O":
        return str(dtype)
    if h5py.check_string_dtype(dtype):
        return "string"
    inner = h5py.check_vlen_dtype(dtype)
    return f"list of {inner}" if inner else "reference"


def _list_column(inner: np.dtype[Any], entries: int) -> Column:
    if inner.isnative:
        return Column(f"list of {inner}", True, entries)
    native_order = inner.newbyteorder("=").str
    problem = (
        f"is a list in another byte order ({inner.str}), which h5py reads wrongly; write it as "
        f"{native_order}"
    )
    return Column(f"list of {inner}", None, entries, problem=problem)


def join_lists(rows: Array) -> Jagged:
    """Join the lists of a variable-length dataset, (candidate,) of arrays."""
    inner = list_type(rows.dtype)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Jagged(native(np.concatenate([np.empty(0, inner), *rows])), offsets)
