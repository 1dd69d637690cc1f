"""HDF5 files -> flat arrays, whatever the layout: picked from what the file holds.

Three layouts are known, and a file may mix them:

    structured arrays (salt, UPP)    a compound dataset `jets` of one row a candidate; others of
                                     (candidate, object), such as `tracks`, where the boolean
                                     field `valid` tells objects from padding
    a dataset a variable (rnn-tauid) `TauJets/pt` (candidate,), `TauTracks/pt` (candidate, slot)
                                     padded with NaN, or (candidate,) of variable length
    pandas tables                    the numbers of `DataFrame.to_hdf`, both its formats

Branches are called `jets.pt`, `TauTracks.pt`; the prefix may be left out for the candidates' own
dataset or group, and wherever only one branch has the name.
"""

from __future__ import annotations

import contextlib
import posixpath
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError, nearest
from tauopt.ntuples.hdf5_pandas import pandas_part
from tauopt.ntuples.hdf5_parts import ColumnPart, CompoundPart, GroupPart
from tauopt.ntuples.source import (
    STEP,
    TREE,
    BadFileError,
    Column,
    Columns,
    TableInfo,
    check,
    check_range,
    reading,
)
from tauopt.physics.jagged import Jagged


@dataclass(frozen=True)
class Hdf5:
    """The candidates of an HDF5 file; see `Source`."""

    path: Path
    tree: str = TREE
    """Dataset or group of the candidates' own variables; `TREE` need not be there."""

    def columns(self) -> dict[str, Column]:
        """List all branches; see `Source`."""
        with _opened(self.path, self.tree) as table:
            return dict(table.columns)

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the header; see `Source`."""
        with _opened(self.path, self.tree) as table:
            return table.check(branches)

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches; see `Source`."""
        with _opened(self.path, self.tree) as table:
            entries = table.check(branches).entries
            for start in range(0, entries, step):
                yield table.read(branches, start, min(start + step, entries))

    def open(self, branches: Sequence[str]) -> _Reader:
        """Open the file for reading at any entry; see `Seekable`."""
        return _Reader(self.path, self.tree, branches)


class _Reader:
    """Some branches of an open file; see `Reader`."""

    def __init__(self, path: Path, tree: str, branches: Sequence[str]) -> None:
        self._branches, stack = branches, contextlib.ExitStack()
        with stack:
            self._table = stack.enter_context(_opened(path, tree))
            self.entries = self._table.check(branches).entries
            weakref.finalize(self, stack.pop_all().close)

    @property
    def seams(self) -> NDArray[np.int64]:
        """Both ends; chunks of an HDF5 file differ between datasets."""
        return np.array([0, self.entries])

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries from `start` to `stop`; h5py lets one thread in at a time."""
        check_range(start, stop, entries=self.entries, path=self._table.path)
        return self._table.read(self._branches, start, stop)


@dataclass(frozen=True)
class _Table:
    """An open file as one table."""

    path: Path
    parts: Mapping[str, ColumnPart]
    main: str
    """Part of the candidates' own variables; empty if there is no single one."""
    columns: Mapping[str, Column]
    """By full names."""
    names: Mapping[str, tuple[str, str]]
    """Every usable name -> part, and name in it."""
    elsewhere: Mapping[str, Column]
    """Datasets and groups that are kept in other files, by full names."""

    def check(self, branches: Sequence[str]) -> TableInfo:
        """Do as `Source.inspect`, and notice datasets that were not written whole."""
        columns = {
            name: self.columns[_full(part, inner)] for name, (part, inner) in self.names.items()
        }
        columns |= {name: away for name in branches if (away := self._away(name))}
        entries = self.parts[self.main].entries if self.main else None
        found = check(columns, branches, entries=entries, where=str(self.path))
        for part, wanted in self._by_part(branches).items():
            with reading(self.path, f"{part!r} "):
                self.parts[part].check_written(list(wanted.values()))
        return found

    def _away(self, name: str) -> Column | None:
        """Return what is known of a branch that is behind a link into another file."""
        if name in self.names:
            return None
        found = (c for n, c in self.elsewhere.items() if f"{name}.".startswith(f"{n}."))
        return next(found, None)

    def read(self, branches: Sequence[str], start: int, stop: int) -> Columns:
        """Read the entries from `start` to `stop`, each part once."""
        values: Columns = {}
        for part, wanted in self._by_part(branches).items():
            inner = list(dict.fromkeys(wanted.values()))
            with reading(self.path, f"branch {', '.join(map(repr, wanted))} "):
                found = self.parts[part].read(inner, start, stop)
            values |= {name: found[one] for name, one in wanted.items()}
        for name, column in values.items():
            count = len(column.offsets) - 1 if isinstance(column, Jagged) else len(column)
            if count != stop - start:
                raise BadFileError(
                    f"{self.path}: branch {name!r} gave {count} entries from {start} on, "
                    f"expected {stop - start}"
                )
        return {name: values[name] for name in branches}

    def _by_part(self, branches: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return part -> name as asked for -> name in the part."""
        wanted: dict[str, dict[str, str]] = {}
        for name in branches:
            part, inner = self.names[name]
            wanted.setdefault(part, {})[name] = inner
        return wanted


@contextlib.contextmanager
def _opened(path: Path, tree: str) -> Iterator[_Table]:
    """Open a file for the length of the block.

    Raises:
        BadFileError: it can't be read. DataError: it holds no table that we know.
    """
    import h5py

    with contextlib.ExitStack() as stack:
        with reading(path):
            _refuse_family(path)
            file = stack.enter_context(h5py.File(path, "r", locking=False))
            parts = _find_parts(file)
            aliases, elsewhere = _find_links(file)
        if not parts:
            told = [f"{name!r} {column.problem}" for name, column in elsewhere.items()][:_TOLD]
            why = f": {'; '.join(told)}" if told else ""
            raise DataError(f"{path}: holds no dataset with one row a candidate{why}")
        main = _main(path, parts, aliases.get(dotted := _dotted(tree), dotted), tree)
        columns = {
            _full(part, name): column
            for part, found in parts.items()
            for name, column in found.columns.items()
        }
        names = _names(parts, main, aliases)
        yield _Table(path, parts, main, columns | elsewhere, names, elsewhere)


def _full(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name  # datasets at the root have no prefix


_TOLD = 5
"""Links that a message names."""
_FAMILY = b"NCSAfami"


def _refuse_family(path: Path) -> None:
    with path.open("rb") as file:
        if _FAMILY in file.read(512):
            raise DataError(
                f"{path}: is one piece of a family of files; join them with "
                "`h5repart <name>_%d.h5 joined.h5`"
            )


def _find_parts(file: Any) -> dict[str, ColumnPart]:
    """Return dotted name -> part, of all that one finds below the root by hard links."""
    import h5py

    parts: dict[str, ColumnPart] = {}
    plain: dict[str, dict[str, Any]] = {}
    inside: list[str] = []

    def visit(name: str, item: Any) -> None:
        if any(name.startswith(prefix) for prefix in inside):
            return
        dotted = _dotted(name)
        if isinstance(item, h5py.Group):
            part = pandas_part(item)
            if part:
                parts[dotted] = part
                inside.append(f"{name}/")
        elif item.dtype.names and len(item.shape) in (1, 2):
            parts[dotted] = CompoundPart(item)
        elif len(item.shape) >= 1:
            folder, _, leaf = dotted.rpartition(".")
            plain.setdefault(folder, {})[leaf] = item

    file.visititems(visit)
    for folder, datasets in plain.items():
        parts.setdefault(folder, GroupPart(datasets))
    return parts


def _find_links(file: Any) -> tuple[dict[str, str], dict[str, Column]]:
    """Return the soft links, dotted name -> target, and what links into other files lead to."""
    import h5py

    aliases: dict[str, str] = {}
    elsewhere: dict[str, Column] = {}

    def visit(name: str, link: Any) -> None:
        if isinstance(link, h5py.SoftLink):
            folder = "" if link.path.startswith("/") else name.rpartition("/")[0]
            aliases[_dotted(name)] = _dotted(posixpath.normpath(f"{folder}/{link.path}"))
        elif isinstance(link, h5py.ExternalLink):
            problem = f"is kept in {link.filename}; name that in `files` instead"
            elsewhere[_dotted(name)] = Column("link into another file", None, 0, problem=problem)

    file.visititems_links(visit)
    return aliases, elsewhere


def _dotted(name: str) -> str:
    return name.strip("/").replace("/", ".")


def _main(path: Path, parts: Mapping[str, ColumnPart], asked: str, tree: str) -> str:
    """Choose the part that holds the candidates' own variables."""
    if asked in parts:
        return asked
    own = [name for name, part in parts.items() if part.one_row]
    if tree != TREE:
        raise DataError(
            f"{path}: no dataset or group {tree!r}{nearest(asked, parts)}; it has "
            f"{', '.join(map(repr, parts))}"
        )
    return own[0] if len(own) == 1 else ""


def _names(
    parts: Mapping[str, ColumnPart], main: str, aliases: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return every name that a branch may be called by."""
    short: dict[str, tuple[str, str]] = {}
    twice = set()
    full = {}
    for part, found in parts.items():
        for name in found.columns:
            full[_full(part, name)] = (part, name)
            if name in short:
                twice.add(name)
            short[name] = (part, name)
    unique = {name: home for name, home in short.items() if name not in twice}
    own = {name: (main, name) for name in parts[main].columns} if main else {}
    linked: dict[str, tuple[str, str]] = {}
    for alias, target in aliases.items():
        if target in parts:
            linked |= {f"{alias}.{name}": (target, name) for name in parts[target].columns}
        elif target in full:
            linked[alias] = full[target]
    return unique | own | linked | full
