"""What every kind of input file can do: tell what it holds, and give columns step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from tauopt.errors import DataError
from tauopt.physics.jagged import Array, Jagged

STEP = 50_000
"""Entries read at a time, unless told otherwise."""


class BadFileError(DataError):
    """A file that can't be read whole: corrupt, truncated or never closed."""


@dataclass(frozen=True)
class TableInfo:
    """What the header of a file says of the branches that are asked for."""

    entries: int
    jagged: Mapping[str, bool]
    """Branch -> whether it holds several values a candidate."""
    types: Mapping[str, str]
    """Branch -> type, in the words of the file's format."""


class Source(Protocol):
    """The candidates of one file; immutable, opened anew by each call, travels by pickle."""

    @property
    def path(self) -> Path:
        """The file."""

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the header: entries, and whether all `branches` are there and numbers.

        Raises:
            DataError: branches are missing (names the nearest) or not numeric: all at once.
            BadFileError: the file can't be read, or its branches disagree about the entries.
        """

    def iterate(
        self, branches: Sequence[str], *, step: int = STEP
    ) -> Iterator[dict[str, Array | Jagged]]:
        """Read branches, `step` entries at a time, in the order of the file.

        Yields:
            branch -> numpy (candidate,) or `Jagged`.
        Raises:
            BadFileError: something can't be read (names the file and the branch), or fewer
                entries come than the header promises.
            DataError: a branch is missing or not numeric.
        """


@runtime_checkable
class Seekable(Source, Protocol):
    """A source that can begin anywhere, as direct streaming needs it."""

    def read(self, branches: Sequence[str], *, start: int, stop: int) -> dict[str, Array | Jagged]:
        """Read the entries from `start` to `stop`; returns and raises as `Source.iterate`."""
