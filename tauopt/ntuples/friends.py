"""Friend trees: several trees of one ROOT file, joined entry by entry."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.source import STEP, Column, Columns, Reader, Seekable, Source, TableInfo, check


@dataclass(frozen=True)
class Joined:
    """A tree with its friends; see `Source`.

    A branch is looked up in the main tree first, then in the friends in their order;
    `<friend>.<branch>` names the branch of one friend.
    """

    main: Seekable
    friends: tuple[tuple[str, Seekable], ...]
    """Name and source of each friend."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.main.path

    def columns(self) -> dict[str, Column]:
        """List all branches, those of friends as `<friend>.<branch>`; see `Source`."""
        listed = self.main.columns()
        for name, friend in self.friends:
            columns = friend.columns()
            listed |= {f"{name}.{n}": column._replace(short="") for n, column in columns.items()}
        return listed

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Read the headers of all trees; see `Source`."""
        return self._locate(branches)[0]

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches; see `Source`."""
        _, homes = self._locate(branches)
        readers = [_renamed(source, names, step=step) for source, names in self._by_tree(homes)]
        for parts in zip(*readers, strict=True):
            joined: Columns = {}
            for part in parts:
                joined |= part
            yield joined

    def open(self, branches: Sequence[str]) -> JoinedReader:
        """Open the needed trees for random access; see `Seekable`."""
        info, homes = self._locate(branches)
        readers = [
            (source.open(list(dict.fromkeys(inner_names.values()))), inner_names)
            for source, inner_names in self._by_tree(homes)
        ]
        return JoinedReader(info.entries, tuple(readers))

    def _by_tree(
        self, homes: Mapping[str, tuple[int, str]]
    ) -> Iterator[tuple[Seekable, dict[str, str]]]:
        """Yield the needed trees, each with requested name -> name in the tree."""
        for number, source in enumerate((self.main, *(friend for _, friend in self.friends))):
            inner_names = {name: inner for name, (home, inner) in homes.items() if home == number}
            if inner_names:
                yield source, inner_names

    def _locate(self, branches: Sequence[str]) -> tuple[TableInfo, dict[str, tuple[int, str]]]:
        """Inspect, and return by branch its tree's number (0 is the main tree) and name there."""
        main_entries = self.main.inspect([]).entries
        names = _names(self.main)
        homes = {name: (0, name) for name in names}
        for number, (tree, friend) in enumerate(self.friends, start=1):
            entries = friend.inspect([]).entries
            if entries != main_entries:
                raise BadFileError(
                    f"{self.path}: friend {tree!r} has {entries} entries, expected {main_entries} "
                    "as in the main tree"
                )
            for name, column in _names(friend).items():
                for alias in (name, f"{tree}.{name}"):
                    names.setdefault(alias, column)
                    homes.setdefault(alias, (number, name))
        where = f"{self.path}: trees with friends"
        info = check(names, branches, entries=main_entries, where=where)
        return info, {name: homes[name] for name in branches}


@dataclass(frozen=True)
class JoinedReader:
    """Open trees that are read together; see `Reader`."""

    entries: int
    readers: tuple[tuple[Reader, Mapping[str, str]], ...]
    """Each with requested name -> name in its tree."""

    @property
    def seams(self) -> NDArray[np.int64]:
        """Seams that all trees share; see `Reader`."""
        return functools.reduce(np.intersect1d, [reader.seams for reader, _ in self.readers])

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries [start, stop); see `Reader`."""
        joined: Columns = {}
        for reader, inner_names in self.readers:
            columns = reader.read(start, stop)
            joined |= {name: columns[inner] for name, inner in inner_names.items()}
        return joined


def _names(source: Source) -> dict[str, Column]:
    """Return the branches of a tree by their full and by their shorter names."""
    columns = source.columns()
    return {column.short: column for column in columns.values() if column.short} | columns


def _renamed(source: Source, inner_names: Mapping[str, str], *, step: int) -> Iterator[Columns]:
    """Read a tree and rename its columns to the requested names."""
    for columns in source.iterate(list(dict.fromkeys(inner_names.values())), step=step):
        yield {name: columns[inner] for name, inner in inner_names.items()}
