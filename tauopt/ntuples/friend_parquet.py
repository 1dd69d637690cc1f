"""Writes a friend tree's columns as a Parquet file: a row an entry, lists where it is an event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from tauopt.durable import write_with
from tauopt.ntuples.friend import RECORD, TREE, Array, by_event
from tauopt.ntuples.source import BadFileError


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
        found = pyarrow.parquet.read_metadata(temporary).num_rows
        if found != entries:
            raise BadFileError(f"{path}: holds {found} rows, {entries} were written")

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
    """Return what a file of `write_parquet` says it was made of; empty if it is none."""
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
        content = json.loads(metadata[RECORD.encode()])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not ours or not whole
        return {}
    return content if isinstance(content, dict) else {}
