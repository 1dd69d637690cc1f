"""Inspect input files: their tables, branches, types, ranges of values and first rows."""

from __future__ import annotations

from collections.abc import Sequence
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
"""Default number of entries whose values are read."""
_FIRST_ROWS = 3
_FIRST_OBJECTS = 4
_MOST_FAILURES = 16
"""Unreadable branches after which a table without a readable one is given up."""


@dataclass(frozen=True)
class InspectedBranch:
    """One branch, and a summary of its values in the sampled entries."""

    name: str
    type: str
    jagged: bool | None
    """True for a list per entry, False for one number per entry, None for other types."""
    values: int = 0
    """Number of values read."""
    nans: int = 0
    """Number of values that are NaN or infinite."""
    minimum: float | None = None
    """Smallest finite value; None if there is none."""
    maximum: float | None = None
    """Largest finite value; None if there is none."""
    integer: bool = False
    """Whether its type is an integer."""
    objects: tuple[int, ...] = ()
    """For lists: number of objects in each sampled entry."""
    first: tuple[Any, ...] = ()
    """Values of the first entries; for lists, of their first objects."""
    short: str = ""
    """Short name, see `Column.short`."""
    problem: str = ""
    """Reason why there are no values; empty if there are, or if the table has no entries."""

    @property
    def expression(self) -> str:
        """The branch as an expression writes it."""
        return quote(self.short or self.name)

    @property
    def constant(self) -> bool:
        """Whether it has no two different finite values; False for a single value."""
        return self.minimum is None or (self.values > 1 and self.minimum == self.maximum)


@dataclass(frozen=True)
class InspectedTable:
    """A TTree or RNTuple, or the content of an HDF5, Parquet or Feather file."""

    path: Path
    name: str
    entries: int
    sampled: int
    """Number of entries whose values were read."""
    branches: tuple[InspectedBranch, ...]
    problem: str = ""
    """Reason why no value at all could be read; empty if some could."""


def inspect_file(path: Path, *, tree: str = "", sample: int = SAMPLE) -> list[InspectedTable]:
    """Inspect a file of any known format.

    Args:
        path: of the file.
        tree: name of the table to inspect; empty means all.
        sample: number of entries, from the first on, whose values are read.
    Returns:
        the tables, in the order of the file.
    Raises:
        DataError: there is no such table. BadFileError: the file can't be read.
    """
    names = (tree,) if tree else tables(path)
    return [_inspect_table(open_source(path, tree=name), name, sample) for name in names]


def _inspect_table(source: Source, name: str, sample: int) -> InspectedTable:
    columns = source.columns()
    # An HDF5 file may hold datasets of other lengths too: take the length that most columns have.
    lengths = [column.entries for column in columns.values()]
    entries = max(lengths, key=lengths.count, default=0)
    branches = [_branch(n, column, entries) for n, column in columns.items()]
    table = InspectedTable(source.path, name, entries, 0, tuple(branches))
    readable = [branch.name for branch in branches if not branch.problem]
    if not readable or not entries:
        return table
    first = _FirstEntries(source, min(sample, entries))
    first.read(readable)
    summaries = tuple(
        _with_values(b, first.values[b.name])
        if b.name in first.values
        else replace(b, problem=b.problem or first.problems[b.name])
        for b in branches
    )
    if not first.values:
        return replace(table, branches=summaries, problem=next(iter(first.problems.values())))
    return replace(table, branches=summaries, sampled=first.entries)


def _branch(name: str, column: Column, entries: int) -> InspectedBranch:
    problem = column.problem
    if column.jagged is None:
        problem = problem or "is no number and no list of numbers"
    elif column.entries != entries:
        problem = f"has {column.entries} entries, others {entries}"
    return InspectedBranch(name, column.type, column.jagged, short=column.short, problem=problem)


@dataclass
class _FirstEntries:
    """Values of the first entries of a table, and the reasons why branches can't be read."""

    source: Source
    entries: int
    values: Columns = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """Branch -> reason why it can't be read."""

    def read(self, names: Sequence[str]) -> None:
        """Read branches together; where that fails, each half of them by itself."""
        try:
            self.values |= next(self.source.iterate(names, step=self.entries))
        except DataError as error:
            if len(names) == 1 or (not self.values and len(self.problems) >= _MOST_FAILURES):
                reason = str(error).removeprefix(f"{self.source.path}: ")
                self.problems |= dict.fromkeys(names, reason)
                return
            middle = len(names) // 2
            self.read(names[:middle])
            self.read(names[middle:])


def _with_values(branch: InspectedBranch, values: Array | Jagged) -> InspectedBranch:
    """Return the branch with a summary of its values."""
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
    """Inspect several files; return their tables, and the errors of files that can't be read."""
    inspected: list[InspectedTable] = []
    problems: list[DataError] = []
    for path in paths:
        try:
            inspected += inspect_file(path, tree=tree, sample=sample)
        except DataError as error:
            problems.append(error)
    return inspected, problems


def raise_all(problems: Sequence[DataError]) -> None:
    """Raise one error with the messages of all problems, if there are any."""
    if problems:
        kind = BadFileError if all(isinstance(p, BadFileError) for p in problems) else DataError
        raise kind("\n".join(map(str, problems)))
