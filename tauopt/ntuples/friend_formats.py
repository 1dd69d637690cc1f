"""Formats in which scores are written for the entries of an input file: ROOT, HDF5, Parquet.

`friend` writes the friend tree of a ROOT file; the other two formats hold the same columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from tauopt.durable import write_with
from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.friend import RECORD, TREE, Array, by_event, read_record, write_friend

COUNTS = "counts"
"""Dataset with the number of candidates of each event, (event,) int64."""
_CHUNK = 65_536


def write_hdf5(
    path: Path,
    steps: Iterable[Mapping[str, Array]],
    *,
    columns: Mapping[str, np.dtype[Any]],
    counts: NDArray[np.int64] | None = None,
    record: Mapping[str, Any],
) -> int:
    """Write datasets `tauopt/<column>` into an HDF5 file, whole or not at all.

    Arguments, result and errors as `friend.write_friend`; the record is an attribute of the group.
    Columns have one value a candidate; where an entry is an event, the dataset `counts` holds the
    number of candidates of each.
    """
    entries = 0

    def write(temporary: Path) -> None:
        nonlocal entries
        with h5py.File(temporary, "w") as file:
            group = file.create_group(TREE)
            for name, dtype in columns.items():
                group.create_dataset(
                    name, (0,), dtype, maxshape=(None,), chunks=(_CHUNK,), compression="lzf"
                )
            candidates = _append(group, steps, columns)
            entries = candidates if counts is None else len(counts)
            if counts is not None:
                if int(counts.sum()) != candidates:
                    raise DataError(f"read {candidates} candidates, expected {counts.sum()}")
                group.create_dataset(COUNTS, data=counts.astype(np.int64))
            group.attrs[RECORD] = json.dumps(dict(record), sort_keys=True)
        _check_hdf5(temporary, columns, candidates)

    write_with(path, write)
    return entries


def _append(
    group: Any, steps: Iterable[Mapping[str, Array]], columns: Mapping[str, np.dtype[Any]]
) -> int:
    """Append the columns of all steps; return the number of candidates."""
    written = 0
    for part in steps:
        size = len(next(iter(part.values())))
        for name in columns:
            group[name].resize(written + size, axis=0)
            group[name][written:] = part[name]
        written += size
    return written


def _check_hdf5(path: Path, columns: Mapping[str, np.dtype[Any]], candidates: int) -> None:
    with h5py.File(path, "r") as file:
        lengths = {name: len(file[TREE][name]) for name in columns}
    if set(lengths.values()) - {candidates}:
        raise BadFileError(f"{path}: holds {lengths}, {candidates} candidates were written")


def read_hdf5_record(path: Path) -> dict[str, Any]:
    """Return the record of a file that `write_hdf5` wrote; empty for any other file."""
    try:
        with h5py.File(path, "r") as file:
            content = json.loads(file[TREE].attrs[RECORD])
    except Exception:  # noqa: BLE001 - any failure means: not written by tauopt, or not whole
        return {}
    return content if isinstance(content, dict) else {}


def write_parquet(
    path: Path,
    steps: Iterable[Mapping[str, Array]],
    *,
    columns: Mapping[str, np.dtype[Any]],
    counts: NDArray[np.int64] | None = None,
    record: Mapping[str, Any],
) -> int:
    """Write columns `tauopt_<column>` into a Parquet file, whole or not at all.

    Arguments, result and errors as `friend.write_friend`; the record is metadata of the schema.
    A row is an entry; its columns are lists where an entry is an event.
    """
    entries = 0
    schema = _schema(columns, jagged=counts is not None, record=record)

    def write(temporary: Path) -> None:
        nonlocal entries
        with pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for part in steps if counts is None else by_event(steps, counts, columns):
                arrays = [
                    _array(part[name], field.type)
                    for name, field in zip(columns, schema, strict=True)
                ]
                writer.write_table(pyarrow.table(arrays, schema=schema))
                entries += len(arrays[0])
        stored = pyarrow.parquet.read_metadata(temporary).num_rows
        if stored != entries:
            raise BadFileError(f"{path}: holds {stored} rows, {entries} were written")

    write_with(path, write)
    return entries


def _schema(
    columns: Mapping[str, np.dtype[Any]], *, jagged: bool, record: Mapping[str, Any]
) -> pyarrow.Schema:
    kinds = {name: pyarrow.from_numpy_dtype(dtype) for name, dtype in columns.items()}
    fields = [
        pyarrow.field(f"{TREE}_{name}", pyarrow.list_(kind) if jagged else kind)
        for name, kind in kinds.items()
    ]
    text = json.dumps(dict(record), sort_keys=True)
    return pyarrow.schema(fields, metadata={RECORD: text})


def _array(values: Any, kind: pyarrow.DataType) -> pyarrow.Array:
    if not pyarrow.types.is_list(kind):
        return pyarrow.array(values, type=kind)
    flat = pyarrow.array(np.asarray(ak.flatten(values)), type=kind.value_type)
    ends = np.concatenate([[0], np.cumsum(np.asarray(ak.num(values)))]).astype(np.int32)
    return pyarrow.ListArray.from_arrays(pyarrow.array(ends), flat, type=kind)


def read_parquet_record(path: Path) -> dict[str, Any]:
    """Return the record of a file that `write_parquet` wrote; empty for any other file."""
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
        content = json.loads(metadata[RECORD.encode()])
    except Exception:  # noqa: BLE001 - any failure means: not written by tauopt, or not whole
        return {}
    return content if isinstance(content, dict) else {}


@dataclass(frozen=True)
class Format:
    """One format: the suffix of its files, and the functions that write and recognise them."""

    suffix: str
    write: Callable[..., int]
    """Signature of `friend.write_friend`."""
    record: Callable[[Path], dict[str, Any]]
    """Signature of `friend.read_record`."""


FORMATS = {
    "root": Format(".tauopt.root", write_friend, read_record),
    "hdf5": Format(".tauopt.h5", write_hdf5, read_hdf5_record),
    "parquet": Format(".tauopt.parquet", write_parquet, read_parquet_record),
}
