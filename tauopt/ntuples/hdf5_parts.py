"""Pieces of an HDF5 file that give columns: compound datasets and groups of plain ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.ntuples.source import BadFileError, Column
from tauopt.physics.jagged import Array, Jagged, from_array

VALID = "valid"
"""Field of a compound dataset that tells objects from padding."""
_PIECE_BYTES = 32 * 2**20
"""Padded rows are read in pieces of this size, so that padding never fills the memory."""


class ColumnPart(Protocol):
    """Some columns of a file that are stored, and so read, together."""

    @property
    def entries(self) -> int:
        """Rows."""

    @property
    def one_row(self) -> bool:
        """Whether the first axis alone is there: one row a candidate, no objects."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """Columns by name; empty names are none."""

    def check_written(self, names: Sequence[str]) -> None:
        """Check that the columns are stored in this file, and whole.

        Raises:
            BadFileError: not all of it was written. DataError: it is stored elsewhere.
        """

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array | Jagged]:
        """Read the rows from `start` to `stop`."""


def check_dataset(dataset: Any) -> None:
    """Check that a dataset is stored in its own file, with filters at hand, and whole.

    A chunk that was never written, or that a damaged index lost, would read as zeros.

    Raises:
        BadFileError: parts of it were never written, or its filter is missing.
        DataError: it is stored in other files, whose changes nobody would notice.
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
    chunks = [-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True)]
    found = dataset.id.get_num_chunks()
    if found < int(np.prod(chunks)):
        raise BadFileError(f"{where} has {found} of {np.prod(chunks)} chunks: never written whole")


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
        kind = self._dataset.dtype[name]
        if (inner := list_type(kind)) is not None and self.one_row:
            return _list_column(inner, self.entries)
        axes = len(kind.shape) + self._dataset.ndim - 1
        text = f"{_word(kind.base)}{[*self._dataset.shape[1:], *kind.shape] if axes else ''}"
        numeric = kind.base.kind in "biuf" and axes <= 1
        return Column(text, bool(axes) if numeric else None, self.entries)

    def check_written(self, names: Sequence[str]) -> None:
        """See `ColumnPart`."""
        del names
        check_dataset(self._dataset)

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array | Jagged]:
        """See `ColumnPart`."""
        if self.one_row:
            return {
                name: lists(values) if list_type(values.dtype) else from_array(values, name=name)
                for name, values in self._fields(names, start, stop).items()
            }
        pieces = []
        rows = self._rows_a_piece(names)
        for first in range(start, max(stop, start + 1), rows):  # once also for no row
            pieces.append(self._objects(names, first, min(first + rows, stop)))
        counts = np.concatenate([counts for counts, _ in pieces])
        offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        return {
            name: Jagged(np.concatenate([values[name] for _, values in pieces]), offsets)
            for name in names
        }

    def _rows_a_piece(self, names: Sequence[str]) -> int:
        width = sum(self._dataset.dtype[name].itemsize for name in names) + 1
        slots = max(1, int(self._dataset.shape[1]))
        return int(max(1, _PIECE_BYTES // (width * slots)))

    def _objects(
        self, names: Sequence[str], start: int, stop: int
    ) -> tuple[NDArray[np.int64], dict[str, Array]]:
        """Read padded rows; return the objects of each, and their values without padding."""
        has_valid = VALID in self._dataset.dtype.names
        wanted = [*names, VALID] if has_valid and VALID not in names else list(names)
        fields = self._fields(wanted, start, stop)
        shape = (stop - start, self._dataset.shape[1])
        valid = fields[VALID].astype(np.bool_) if has_valid else np.ones(shape, dtype=np.bool_)
        return valid.sum(axis=1), {name: fields[name][valid] for name in names}

    def _fields(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array]:
        rows = self._dataset.fields(list(names))[start:stop]
        return {name: native(rows[name]) for name in names}


class GroupPart:
    """Plain datasets of one group: (candidate,), lists, or (candidate, slot) padded with NaN.

    A slot is padding where all float datasets of its shape are NaN, from there to the end of the
    row; so a NaN of a real object stays as long as something of it or behind it is known. All of
    them are looked at, read or not, so that what is read never changes what counts as an object.
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
        text = f"{_word(dataset.dtype)}{list(dataset.shape[1:]) if dataset.ndim > 1 else ''}"
        numeric = dataset.dtype.kind in "biuf" and dataset.ndim <= 2
        return Column(text, dataset.ndim == 2 if numeric else None, int(dataset.shape[0]))

    def check_written(self, names: Sequence[str]) -> None:
        """See `ColumnPart`."""
        for name in {*names, *(other for one in names for other in self._witnesses(one))}:
            check_dataset(self._datasets[name])

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, Array | Jagged]:
        """See `ColumnPart`."""
        values = {name: native(self._datasets[name][start:stop]) for name in names}
        result: dict[str, Array | Jagged] = {
            name: lists(v) if list_type(v.dtype) else v for name, v in values.items() if v.ndim == 1
        }
        for shape in {self._datasets[name].shape for name, v in values.items() if v.ndim == 2}:
            padded = {n: v for n, v in values.items() if self._datasets[n].shape == shape}
            real = self._real(padded, start, stop)
            offsets = np.zeros(len(real) + 1, dtype=np.int64)
            np.cumsum(real.sum(axis=1), out=offsets[1:])
            result |= {name: Jagged(v[real], offsets) for name, v in padded.items()}
        return result

    def _real(self, padded: Mapping[str, Array], start: int, stop: int) -> NDArray[np.bool_]:
        """Say which slots hold an object, (candidate, slot)."""
        first, values = next(iter(padded.items()))
        witnesses = self._witnesses(first)
        known = np.full(values.shape, not witnesses)
        for name in witnesses:
            column = padded[name] if name in padded else self._datasets[name][start:stop]
            known |= ~np.isnan(column)
        # a slot counts if it or any behind it is known
        return np.asarray(np.logical_or.accumulate(known[:, ::-1], axis=1)[:, ::-1])

    def _witnesses(self, name: str) -> list[str]:
        """Name the float datasets of the same objects; integers know no NaN."""
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


def list_type(kind: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return what the lists of a variable-length type hold; None if it is no type of numbers."""
    import h5py

    inner = h5py.check_vlen_dtype(kind)
    return inner if isinstance(inner, np.dtype) and inner.kind in "biuf" else None


def _word(kind: np.dtype[Any]) -> str:
    """Return the name of a type; h5py calls all that numpy has none for objects."""
    import h5py

    if kind.kind != "O":
        return str(kind)
    if h5py.check_string_dtype(kind):
        return "string"
    inner = h5py.check_vlen_dtype(kind)
    return f"list of {inner}" if inner else "reference"


def _list_column(inner: np.dtype[Any], entries: int) -> Column:
    if inner.isnative:
        return Column(f"list of {inner}", True, entries)
    wanted = inner.newbyteorder("=").str
    problem = (
        f"is a list in another byte order ({inner.str}), which h5py gets wrong; write {wanted}"
    )
    return Column(f"list of {inner}", None, entries, problem=problem)


def lists(rows: Array) -> Jagged:
    """Join the lists of a variable-length type, (candidate,) of arrays."""
    inner = list_type(rows.dtype)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Jagged(native(np.concatenate([np.empty(0, inner), *rows])), offsets)
