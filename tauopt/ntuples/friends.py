"""Several trees of one file, joined entry by entry."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.ntuples.source import (
    STEP,
    BadFileError,
    Column,
    Columns,
    Reader,
    Seekable,
    Source,
    TableInfo,
    check,
)


@dataclass(frozen=True)
class Joined:
    """A tree with its friends; see `Source`.

    A branch is looked for in the main tree first, then in the friends in their order;
    `<friend>.<branch>` says which friend is meant.
    """

    main: Seekable
    friends: tuple[tuple[str, Seekable], ...]
    """Name and tree of each."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.main.path

    def columns(self) -> dict[str, Column]:
        """List all branches, those of friends with the friend's name; see `Source`."""
        found = self.main.columns()
        for name, friend in self.friends:
            columns = friend.columns()
            found |= {f"{name}.{n}": column._replace(short="") for n, column in columns.items()}
        return found

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the headers of all trees; see `Source`."""
        return self._look(branches)[0]

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches; see `Source`."""
        _, homes = self._look(branches)
        readers = [_renamed(source, names, step=step) for source, names in self._by_tree(homes)]
        for parts in zip(*readers, strict=True):
            joined: Columns = {}
            for part in parts:
                joined |= part
            yield joined

    def open(self, branches: Sequence[str]) -> JoinedReader:
        """Open all trees that are needed, for reading at any entry; see `Seekable`."""
        info, homes = self._look(branches)
        readers = [
            (source.open(list(dict.fromkeys(wanted.values()))), wanted)
            for source, wanted in self._by_tree(homes)
        ]
        return JoinedReader(info.entries, tuple(readers))

    def _by_tree(
        self, homes: Mapping[str, tuple[int, str]]
    ) -> Iterator[tuple[Seekable, dict[str, str]]]:
        """Yield the trees that are needed, with name as asked for -> name in the tree."""
        for number, source in enumerate((self.main, *(friend for _, friend in self.friends))):
            wanted = {name: inner for name, (home, inner) in homes.items() if home == number}
            if wanted:
                yield source, wanted

    def _look(self, branches: Sequence[str]) -> tuple[TableInfo, dict[str, tuple[int, str]]]:
        """Do as `inspect`; returns too the number of the tree, and the name in it, by branch."""
        own = self.main.inspect([]).entries
        names = _names(self.main)
        homes = {name: (0, name) for name in names}
        for number, (tree, friend) in enumerate(self.friends, start=1):
            entries = friend.inspect([]).entries
            if entries != own:
                raise BadFileError(
                    f"{self.path}: friend {tree!r} has {entries} entries, expected {own} as in "
                    "the tree that it is to be joined with"
                )
            for name, column in _names(friend).items():
                for called in (name, f"{tree}.{name}"):
                    names.setdefault(called, column)
                    homes.setdefault(called, (number, name))
        info = check(names, branches, entries=own, where=f"{self.path}: trees with friends")
        return info, {name: homes[name] for name in branches}


@dataclass(frozen=True)
class JoinedReader:
    """Open trees that are read together; see `Reader`."""

    entries: int
    readers: tuple[tuple[Reader, Mapping[str, str]], ...]
    """Each with name as asked for -> name in its tree."""

    @property
    def seams(self) -> NDArray[np.int64]:
        """Those that all trees have."""
        return functools.reduce(np.intersect1d, [reader.seams for reader, _ in self.readers])

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries from `start` to `stop`."""
        joined: Columns = {}
        for reader, wanted in self.readers:
            columns = reader.read(start, stop)
            joined |= {name: columns[inner] for name, inner in wanted.items()}
        return joined


def _names(source: Source) -> dict[str, Column]:
    """Return the branches of a tree by their paths, and by their shorter names."""
    columns = source.columns()
    return {column.short: column for column in columns.values() if column.short} | columns


def _renamed(source: Source, wanted: Mapping[str, str], *, step: int) -> Iterator[Columns]:
    """Read a tree under the names that were asked for."""
    for columns in source.iterate(list(dict.fromkeys(wanted.values())), step=step):
        yield {name: columns[inner] for name, inner in wanted.items()}
