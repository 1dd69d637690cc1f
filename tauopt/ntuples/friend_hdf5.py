"""Writes a friend tree's columns as an HDF5 file: a dataset a column, a value a candidate.

Where an entry is an event, `counts` says how many candidates each has, and they follow in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tauopt.durable import write_with
from tauopt.errors import DataError
from tauopt.ntuples.friend import RECORD, TREE, Array
from tauopt.ntuples.source import BadFileError

COUNTS = "counts"
"""Dataset with the candidates of each event, (event,) int64."""
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
        _check(temporary, columns, candidates)

    write_with(path, write)
    return entries


def _append(
    group: Any, steps: Iterable[Mapping[str, Array]], columns: Mapping[str, np.dtype[Any]]
) -> int:
    """Append the columns of all steps; returns how many candidates there were."""
    there = 0
    for part in steps:
        size = len(next(iter(part.values())))
        for name in columns:
            group[name].resize(there + size, axis=0)
            group[name][there:] = part[name]
        there += size
    return there


def _check(path: Path, columns: Mapping[str, np.dtype[Any]], candidates: int) -> None:
    with h5py.File(path, "r") as file:
        found = {name: len(file[TREE][name]) for name in columns}
    if set(found.values()) - {candidates}:
        raise BadFileError(f"{path}: holds {found}, {candidates} candidates were written")


def read_hdf5_record(path: Path) -> dict[str, Any]:
    """Return what a file of `write_hdf5` says it was made of; empty if it is none."""
    try:
        with h5py.File(path, "r") as file:
            content = json.loads(file[TREE].attrs[RECORD])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not ours or not whole
        return {}
    return content if isinstance(content, dict) else {}
