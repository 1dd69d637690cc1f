"""What every kind of input file can do: tell what it holds, and give columns step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError, TauoptError
from tauopt.physics.branch_names import nearest_branch
from tauopt.physics.jagged import Array, Jagged

STEP = 50_000
"""Entries read at a time, unless told otherwise."""

TREE = "candidates"
"""Table of the candidates, unless told otherwise; formats with one table a file don't need it."""


Columns = dict[str, Array | Jagged]
"""Branch -> numpy (candidate,) or `Jagged`."""


class BadFileError(DataError):
    """A file that can't be read whole: corrupt, truncated or never closed."""


class Column(NamedTuple):
    """What the header of a file says of one branch."""

    type: str
    """In the words of the file's format."""
    jagged: bool | None
    """Whether it holds a list of numbers a candidate, or one; None if it can't be read as such."""
    entries: int
    short: str = ""
    """A shorter name that means this branch and no other; empty if there is none."""
    problem: str = ""
    """Why it can't be read; empty if it can, or if its type says enough."""


@dataclass(frozen=True)
class TableInfo:
    """What the header of a file says of the branches that are asked for."""

    entries: int
    """Candidates."""
    jagged: Mapping[str, bool]
    """Branch -> whether it holds several values a candidate."""
    types: Mapping[str, str]
    """Branch -> type, in the words of the file's format."""


class Source(Protocol):
    """The candidates of one file; immutable, opened anew by each call, travels by pickle."""

    @property
    def path(self) -> Path:
        """The file."""

    def columns(self) -> dict[str, Column]:
        """List all branches, each once and by its full name, also those that can't be read.

        Raises:
            DataError: the file holds no such table. BadFileError: it can't be read.
        """

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the header: entries, and whether all `branches` are there and numbers.

        Raises:
            DataError: branches are missing (names the nearest) or not numeric: all at once.
            BadFileError: the file can't be read, or its branches disagree about the entries.
        """

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches, `step` entries at a time, in the order of the file.

        Yields:
            branch -> numpy (candidate,) or `Jagged`.
        Raises:
            BadFileError: something can't be read (names the file and the branch), or fewer
                entries come than the header promises.
            DataError: a branch is missing or not numeric.
        """


class Reader(Protocol):
    """An open file, for some of its branches; may be used by several threads at once."""

    @property
    def entries(self) -> int:
        """Candidates."""

    @property
    def seams(self) -> NDArray[np.int64]:
        """Entries, 0 and the end among them, at which it costs nothing to begin or to stop.

        Between two of them lies what is stored in one piece, which is read whole or not at all.
        """

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries from `start` to `stop`, one at least; as `Source.iterate` does."""


@runtime_checkable
class Seekable(Source, Protocol):
    """A source that can begin anywhere, as direct streaming needs it."""

    def open(self, branches: Sequence[str]) -> Reader:
        """Open the file until the reader is dropped; raises as `Source.inspect`."""


def check_range(start: int, stop: int, *, entries: int, path: Path) -> None:
    """Check that a file has the entries from `start` to `stop`, one at least; else BadFileError."""
    if not 0 <= start < stop <= entries:
        raise BadFileError(
            f"{path}: holds {entries} entries, expected those from {start} to {stop}"
        )


@contextlib.contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Name the file in whatever a reader raises: parsers meet damaged bytes in many ways."""
    try:
        yield
    except TauoptError:
        raise
    except FileNotFoundError as error:
        raise BadFileError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise BadFileError(f"{path}: is a folder, expected a file") from error
    except Exception as error:
        message = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadFileError(f"{path}: {what}can't be read whole: {message}") from error


def check(
    columns: Mapping[str, Column], branches: Sequence[str], *, entries: int | None, where: str
) -> TableInfo:
    """Check the branches that are asked for; as `Source.inspect`.

    Args:
        columns: all branches, by every name that may be used.
        branches: those wanted.
        entries: what each must have; None takes the first one's.
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
            told = column.problem or f"is {column.type}, expected numbers or one list of them"
            problems.append(f"branch {name!r} {told}")
    if problems:
        raise DataError(f"{where}: {'; '.join(problems)}")
    chosen = {name: columns[name] for name in branches}
    if entries is None:
        entries = next((column.entries for column in chosen.values()), 0)
    for name, column in chosen.items():
        if column.entries != entries:
            raise BadFileError(
                f"{where}: branch {name!r} has {column.entries} entries, expected {entries}"
            )
    return TableInfo(
        entries=entries,
        jagged={name: bool(column.jagged) for name, column in chosen.items()},
        types={name: column.type for name, column in chosen.items()},
    )
