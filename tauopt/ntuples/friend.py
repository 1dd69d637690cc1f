"""Write a ROOT friend tree: further branches for the entries of another tree, in the same order.

`friend_formats` writes the same columns as HDF5 and Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from tauopt.durable import write_with
from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError

TREE = "tauopt"
"""Name of the tree, and prefix of its branches."""
RECORD = "tauopt_record"
"""Name of the JSON string in the file that records its inputs."""
Array = NDArray[Any]


def write_friend(
    path: Path,
    steps: Iterable[Mapping[str, Array]],
    *,
    columns: Mapping[str, np.dtype[Any]],
    counts: NDArray[np.int64] | None = None,
    record: Mapping[str, Any],
) -> int:
    """Write a TTree of branches `tauopt_<column>` into a new ROOT file, whole or not at all.

    Args:
        path: file to make or replace.
        steps: the columns of some candidates each, in order, (candidate,).
        columns: name and type of each column.
        counts: (event,) candidates of each event, if an entry is an event: branches are lists
            then; None writes one candidate an entry.
        record: the file's inputs, JSON-serialisable; stored in the file.
    Returns:
        number of entries written, as read back from the file.
    Raises:
        DataError: the number of candidates differs from `counts`.
        BadFileError: the file that was written can't be read back.
    """
    entries = 0

    def write(temporary: Path) -> None:
        nonlocal entries
        with uproot.recreate(temporary, compression=uproot.LZ4(4)) as file:
            file.mktree(TREE, _types(columns, jagged=counts is not None))
            for part in steps if counts is None else by_event(steps, counts, columns):
                written = {f"{TREE}_{name}": values for name, values in part.items()}
                if counts is not None:
                    written = {TREE: ak.zip(dict(part))}
                file[TREE].extend(written)
                entries += len(next(iter(part.values())))
            file[RECORD] = json.dumps(dict(record), sort_keys=True)
        _check(temporary, entries)

    write_with(path, write)
    return entries


def _types(columns: Mapping[str, np.dtype[Any]], *, jagged: bool) -> dict[str, Any]:
    if not jagged:
        return {f"{TREE}_{name}": dtype for name, dtype in columns.items()}
    fields = ", ".join(f'"{name}": {dtype.name}' for name, dtype in columns.items())
    return {TREE: f"var * {{{fields}}}"}


def by_event(
    steps: Iterable[Mapping[str, Array]],
    counts: NDArray[np.int64],
    columns: Mapping[str, np.dtype[Any]],
) -> Iterator[dict[str, ak.Array]]:
    """Group candidates into lists, one an event; a step also takes the empty events behind it.

    Args:
        steps: the columns of some candidates each, in order, (candidate,).
        counts: (event,) candidates of each event.
        columns: name and type of each column.
    Raises:
        DataError: the number of candidates differs from `counts`.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    event = done = 0
    for part in steps:
        done += len(next(iter(part.values())))
        stop = int(np.searchsorted(ends, done, side="right"))
        inside = counts[event:stop]
        if done > total or int(inside.sum()) != len(next(iter(part.values()))):
            raise DataError("a step of candidates ends within an event")
        yield {name: ak.unflatten(values, inside) for name, values in part.items()}
        event = stop
    if done != total:
        raise DataError(f"read {done} candidates, expected {total}")
    if event < len(counts):  # no event has a candidate
        empty = counts[event:]
        yield {name: ak.unflatten(np.empty(0, dtype), empty) for name, dtype in columns.items()}


def _check(path: Path, entries: int) -> None:
    with uproot.open(path) as file:
        stored = int(file[TREE].num_entries)
    if stored != entries:
        raise BadFileError(f"{path}: holds {stored} entries, {entries} were written")


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of a file that `write_friend` wrote; empty for any other file."""
    try:
        with uproot.open(path) as file:
            text = str(file[RECORD])
            is_whole = file.file.fEND == path.stat().st_size
        content = json.loads(text) if is_whole else {}
    except Exception:  # noqa: BLE001 - any failure means: not written by tauopt, or not whole
        return {}
    return content if isinstance(content, dict) else {}
