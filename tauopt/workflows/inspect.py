"""Tell what an input file holds: tables, branches, types, ranges and the first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.file_formats import open_source, tables
from tauopt.ntuples.source import Column, Columns, Source
from tauopt.physics.branch_names import quote
from tauopt.physics.jagged import Array, Jagged

SAMPLE = 1000
"""Entries looked at, unless told otherwise."""
_FIRST_ROWS = 3
_FIRST_OBJECTS = 4


@dataclass(frozen=True)
class InspectedBranch:
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
    short: str = ""
    """As `Column.short`."""
    problem: str = ""
    """Why there are no values; empty if there are, or if the table has no entries."""

    @property
    def expression(self) -> str:
        """How an expression calls it."""
        return quote(self.short or self.name)

    @property
    def constant(self) -> bool:
        """Whether no two of its values differ; of a single value that can't be said."""
        return self.minimum is None or (self.values > 1 and self.minimum == self.maximum)


@dataclass(frozen=True)
class InspectedTable:
    """A tree, or all that an HDF5, Parquet or Feather file holds."""

    path: Path
    name: str
    entries: int
    sampled: int
    """Entries whose values were looked at."""
    branches: tuple[InspectedBranch, ...]
    problem: str = ""
    """Why no value at all could be read; empty if some could."""


def inspect_file(path: Path, *, tree: str = "", sample: int = SAMPLE) -> list[InspectedTable]:
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


def _table(source: Source, name: str, sample: int) -> InspectedTable:
    columns = source.columns()
    entries = _common_length(columns)
    branches = [_branch(n, column, entries) for n, column in columns.items()]
    table = InspectedTable(source.path, name, entries, 0, tuple(branches))
    readable = [branch.name for branch in branches if not branch.problem]
    if not readable or not entries:
        return table
    sampled = min(sample, entries)
    taken = _Sample(source, sampled)
    taken.read(readable)
    problem = "" if taken.values else next(iter(taken.problems.values()))
    described = tuple(
        _describe(b, taken.values[b.name])
        if b.name in taken.values
        else replace(b, problem=b.problem or taken.problems[b.name])
        for b in branches
    )
    return replace(
        table, sampled=sampled if taken.values else 0, branches=described, problem=problem
    )


def _branch(name: str, column: Column, entries: int) -> InspectedBranch:
    problem = column.problem
    if column.jagged is None:
        problem = problem or "is no number and no list of numbers"
    elif column.entries != entries:
        problem = f"has {column.entries} entries, others {entries}"
    return InspectedBranch(name, column.type, column.jagged, short=column.short, problem=problem)


_HOPELESS = 16
"""Branches that are tried one by one while none can be read."""


@dataclass
class _Sample:
    """The first entries of a table: what can be read of them, and why the rest can't."""

    source: Source
    entries: int
    values: Columns = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """Branch -> why it can't be read."""

    def read(self, names: Sequence[str]) -> None:
        """Read branches together, and in halves where one of them fails."""
        try:
            self.values |= next(self.source.iterate(names, step=self.entries))
        except DataError as error:
            if len(names) == 1 or (not self.values and len(self.problems) >= _HOPELESS):
                told = str(error).removeprefix(f"{self.source.path}: ")
                self.problems |= dict.fromkeys(names, told)
                return
            middle = len(names) // 2
            self.read(names[:middle])
            self.read(names[middle:])


def _common_length(columns: Mapping[str, Column]) -> int:
    """Return the length that most branches have: an HDF5 file may hold other things besides."""
    lengths = [column.entries for column in columns.values()]
    return max(lengths, key=lengths.count, default=0)


def _describe(branch: InspectedBranch, values: Array | Jagged) -> InspectedBranch:
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
) -> tuple[list[InspectedTable], list[DataError]]:
    """Look at several files; returns what they hold, and the errors of those that can't be read."""
    found: list[InspectedTable] = []
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
