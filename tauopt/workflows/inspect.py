"""Tell what an input file holds: tables, branches, types, ranges and the first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tauopt.errors import DataError
from tauopt.ntuples.formats import open_source, tables
from tauopt.ntuples.source import BadFileError, Column, Source
from tauopt.physics.jagged import Array, Jagged

SAMPLE = 1000
"""Entries looked at, unless told otherwise."""
_FIRST_ROWS = 3
_FIRST_OBJECTS = 4


@dataclass(frozen=True)
class Branch:
    """One branch, and its values in the entries that were looked at."""

    name: str
    type: str
    jagged: bool | None
    """Whether it holds a list a candidate, or one number; None if neither."""
    values: int = 0
    """Numbers seen."""
    nans: int = 0
    """Of these, NaN or infinite."""
    minimum: float | None = None
    """Of the finite ones; None if there is none."""
    maximum: float | None = None
    integer: bool = False
    objects: tuple[int, ...] = ()
    """Of a list, the numbers of objects in the entries seen."""
    first: tuple[Any, ...] = ()
    """Values of the first entries; of a list, its first objects."""


@dataclass(frozen=True)
class Table:
    """A tree, or all that an HDF5, Parquet or Feather file holds."""

    path: Path
    name: str
    entries: int
    sampled: int
    """Entries whose values were looked at."""
    branches: tuple[Branch, ...]
    problem: str = ""
    """Why values could not be read; empty if they could."""


def inspect_file(path: Path, *, tree: str = "", sample: int = SAMPLE) -> list[Table]:
    """Look at a file of any known format.

    Args:
        path: of the file.
        tree: table to look at; empty means all.
        sample: entries, from the first on, whose values are looked at.
    Raises:
        DataError: there is no such table. BadFileError: the file can't be read.
    """
    names = (tree,) if tree else tables(path)
    return [_table(open_source(path, tree=name), name, sample) for name in names]


def _table(source: Source, name: str, sample: int) -> Table:
    columns = source.columns()
    entries = _common_length(columns)
    branches = [Branch(n, column.type, column.jagged) for n, column in columns.items()]
    table = Table(source.path, name, entries, 0, tuple(branches))
    readable = [
        n
        for n, column in columns.items()
        if column.jagged is not None and column.entries == entries
    ]
    if not readable or not entries:
        return table
    try:
        values = next(source.iterate(readable, step=min(sample, entries)))
    except DataError as error:  # what is there is told all the same
        return replace(table, problem=str(error))
    described = tuple(_describe(b, values[b.name]) if b.name in values else b for b in branches)
    return replace(table, sampled=min(sample, entries), branches=described)


def _common_length(columns: Mapping[str, Column]) -> int:
    """Return the length that most branches have: an HDF5 file may hold other things besides."""
    lengths = [column.entries for column in columns.values()]
    return max(lengths, key=lengths.count, default=0)


def _describe(branch: Branch, values: Array | Jagged) -> Branch:
    content = values.content if isinstance(values, Jagged) else values
    finite = content[np.isfinite(content)]
    if isinstance(values, Jagged):
        ends = values.offsets[1 : _FIRST_ROWS + 1]
        rows = zip(values.offsets, ends, strict=False)
        first = tuple(tuple(content[a : min(b, a + _FIRST_OBJECTS)].tolist()) for a, b in rows)
    else:
        first = tuple(content[:_FIRST_ROWS].tolist())
    return replace(
        branch,
        values=len(content),
        nans=len(content) - len(finite),
        minimum=float(finite.min()) if len(finite) else None,
        maximum=float(finite.max()) if len(finite) else None,
        integer=content.dtype.kind in "iu",
        objects=tuple(values.counts.tolist()) if isinstance(values, Jagged) else (),
        first=first,
    )


def inspect_files(
    paths: Sequence[Path], *, tree: str = "", sample: int = SAMPLE
) -> tuple[list[Table], list[DataError]]:
    """Look at several files; returns what they hold, and the errors of those that can't be read."""
    found: list[Table] = []
    problems: list[DataError] = []
    for path in paths:
        try:
            found += inspect_file(path, tree=tree, sample=sample)
        except DataError as error:
            problems.append(error)
    return found, problems


def raise_all(problems: Sequence[DataError]) -> None:
    """Raise one error that tells all problems, if there are any."""
    if problems:
        kind = BadFileError if all(isinstance(p, BadFileError) for p in problems) else DataError
        raise kind("\n".join(map(str, problems)))
