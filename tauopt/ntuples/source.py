"""The interface of input files: list the branches, inspect the header, read columns in steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.physics.branch_names import nearest_branch
from tauopt.physics.jagged import Array, Jagged

STEP = 50_000
"""Default number of entries that are read at a time."""

TREE = "candidates"
"""Default name of the candidates' table; formats with one table a file ignore it."""


Columns = dict[str, Array | Jagged]
"""Branch -> numpy (candidate,) or `Jagged`."""


class Column(NamedTuple):
    """One branch as the header of a file describes it."""

    type: str
    """Type name, as the file format spells it."""
    jagged: bool | None
    """True for a list of numbers a candidate, False for one number, None if it is neither."""
    entries: int
    short: str = ""
    """A shorter unique name of this branch; empty if there is none."""
    problem: str = ""
    """Why it can't be read; empty if it can, or if its type explains it."""


@dataclass(frozen=True)
class TableInfo:
    """The requested branches as the header of a file describes them."""

    entries: int
    """Number of candidates."""
    jagged: Mapping[str, bool]
    """Branch -> whether it holds several values a candidate."""
    types: Mapping[str, str]
    """Branch -> type name, as the file format spells it."""


class Source(Protocol):
    """The candidates of one file: immutable, picklable, and opened anew by each call."""

    @property
    def path(self) -> Path:
        """The file."""

    def columns(self) -> dict[str, Column]:
        """List all branches, each once and by its full name, including unreadable ones.

        Raises:
            DataError: the file holds no such table. BadFileError: it can't be read.
        """

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Read the header: number of entries, and the types of `branches`.

        Raises:
            DataError: branches are missing or not numeric; lists them all, with nearest names.
            BadFileError: the file can't be read, or its branches differ in length.
        """

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches, `step` entries at a time, in the order of the file.

        Yields:
            branch -> numpy (candidate,) or `Jagged`.
        Raises:
            BadFileError: a file or branch can't be read (the message names it), or holds fewer
                entries than the header says.
            DataError: a branch is missing or not numeric.
        """


class Reader(Protocol):
    """An open file, for some of its branches; thread-safe."""

    @property
    def entries(self) -> int:
        """Number of candidates."""

    @property
    def seams(self) -> NDArray[np.int64]:
        """Entries at which a range may begin or stop at no cost, from 0 to the end, ascending.

        They are the boundaries of what is stored in one piece, such as baskets: a range that
        begins inside of a piece still reads the piece whole.
        """

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries [start, stop), at least one; returns and raises as `Source.iterate`."""


@runtime_checkable
class Seekable(Source, Protocol):
    """A source with random access, which direct streaming needs."""

    def open(self, branches: Sequence[str]) -> Reader:
        """Open the file until the reader is dropped; raises as `Source.inspect`."""


def check(
    columns: Mapping[str, Column], branches: Sequence[str], *, entries: int | None, where: str
) -> TableInfo:
    """Check that branches exist, are numeric and have one length; see `Source.inspect`.

    Args:
        columns: all branches, by every name that may be used.
        branches: names of the requested branches.
        entries: expected entries of each branch; None takes those of the first one.
        where: file and table, for messages.
    Raises:
        DataError, BadFileError: see `Source.inspect`.
    """
    problems = []
    for name in branches:
        column = columns.get(name)
        if column is None:
            problems.append(f"no branch {name!r}{nearest_branch(name, columns)}")
        elif column.jagged is None:
            problem = column.problem or f"is {column.type}, expected numbers or one list of them"
            problems.append(f"branch {name!r} {problem}")
    if problems:
        raise DataError(f"{where}: {'; '.join(problems)}")
    requested = {name: columns[name] for name in branches}
    if entries is None:
        entries = next((column.entries for column in requested.values()), 0)
    for name, column in requested.items():
        if column.entries != entries:
            raise BadFileError(
                f"{where}: branch {name!r} has {column.entries} entries, expected {entries}"
            )
    return TableInfo(
        entries=entries,
        jagged={name: bool(column.jagged) for name, column in requested.items()},
        types={name: column.type for name, column in requested.items()},
    )
