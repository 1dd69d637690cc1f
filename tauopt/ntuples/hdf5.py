"""Read HDF5 files into flat arrays; the layout is recognised from the contents of the file.

Three layouts are known, and a file may mix them:

    structured arrays (salt, UPP)    a compound dataset `jets` of one row a candidate; others of
                                     (candidate, object), such as `tracks`, where the boolean
                                     field `valid` distinguishes objects from padding
    a dataset a variable (rnn-tauid) `TauJets/pt` (candidate,), `TauTracks/pt` (candidate, slot)
                                     padded with NaN, or (candidate,) of variable length
    pandas tables                    the numbers of `DataFrame.to_hdf`, in both its formats

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
from tauopt.ntuples.bad_files import BadFileError, check_range, reading
from tauopt.ntuples.hdf5_pandas import pandas_part
from tauopt.ntuples.hdf5_parts import ColumnPart, CompoundPart, GroupPart
from tauopt.ntuples.source import STEP, TREE, Column, Columns, TableInfo, check
from tauopt.physics.jagged import Jagged


@dataclass(frozen=True)
class Hdf5:
    """The candidates of an HDF5 file; see `Source`."""

    path: Path
    tree: str = TREE
    """Dataset or group of the candidates' own variables; the default `TREE` need not exist."""

    def columns(self) -> dict[str, Column]:
        """List all branches; see `Source`."""
        with _opened(self.path, self.tree) as table:
            return dict(table.columns)

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Read the header; see `Source`."""
        with _opened(self.path, self.tree) as table:
            return table.check(branches)

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches; see `Source`."""
        with _opened(self.path, self.tree) as table:
            entries = table.check(branches).entries
            for start in range(0, entries, step):
                yield table.read(branches, start, min(start + step, entries))

    def open(self, branches: Sequence[str]) -> _Reader:
        """Open the file for random access; see `Seekable`."""
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
        """Both ends only, since the chunks of HDF5 datasets differ; see `Reader`."""
        return np.array([0, self.entries])

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries [start, stop); h5py serves one thread at a time."""
        check_range(start, stop, entries=self.entries, path=self._table.path)
        return self._table.read(self._branches, start, stop)


@dataclass(frozen=True)
class _Table:
    """An open file as one table."""

    path: Path
    parts: Mapping[str, ColumnPart]
    main: str
    """Name of the part with the candidates' own variables; empty if it is ambiguous."""
    columns: Mapping[str, Column]
    """By full names."""
    names: Mapping[str, tuple[str, str]]
    """Every usable name -> its part, and its name in the part."""
    external: Mapping[str, Column]
    """Datasets and groups that are links into other files, by full names."""

    def check(self, branches: Sequence[str]) -> TableInfo:
        """Check branches as `Source.inspect` does, and that their datasets were written whole."""
        columns = {
            name: self.columns[_full(part, inner)] for name, (part, inner) in self.names.items()
        }
        columns |= {name: column for name in branches if (column := self._external_column(name))}
        entries = self.parts[self.main].entries if self.main else None
        info = check(columns, branches, entries=entries, where=str(self.path))
        for part, inner_names in self._by_part(branches).items():
            with reading(self.path, f"{part!r} "):
                self.parts[part].check_written(list(inner_names.values()))
        return info

    def _external_column(self, name: str) -> Column | None:
        """Return the column of a branch behind a link into another file; None for any other."""
        if name in self.names:
            return None
        links = (c for link, c in self.external.items() if f"{name}.".startswith(f"{link}."))
        return next(links, None)

    def read(self, branches: Sequence[str], start: int, stop: int) -> Columns:
        """Read the entries [start, stop), each part once."""
        values: Columns = {}
        for part, inner_names in self._by_part(branches).items():
            with reading(self.path, f"branch {', '.join(map(repr, inner_names))} "):
                unique = list(dict.fromkeys(inner_names.values()))
                columns = self.parts[part].read(unique, start, stop)
            values |= {name: columns[inner] for name, inner in inner_names.items()}
        for name, column in values.items():
            count = len(column.offsets) - 1 if isinstance(column, Jagged) else len(column)
            if count != stop - start:
                raise BadFileError(
                    f"{self.path}: branch {name!r} gave {count} entries from {start} on, "
                    f"expected {stop - start}"
                )
        return {name: values[name] for name in branches}

    def _by_part(self, branches: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return part -> requested name -> name in the part."""
        by_part: dict[str, dict[str, str]] = {}
        for name in branches:
            part, inner = self.names[name]
            by_part.setdefault(part, {})[name] = inner
        return by_part


@contextlib.contextmanager
def _opened(path: Path, tree: str) -> Iterator[_Table]:
    """Open a file for the length of the block.

    Raises:
        BadFileError: it can't be read. DataError: it holds no table of a known layout.
    """
    import h5py

    with contextlib.ExitStack() as stack:
        with reading(path):
            _refuse_family(path)
            file = stack.enter_context(h5py.File(path, "r", locking=False))
            parts = _find_parts(file)
            aliases, external = _find_links(file)
        if not parts:
            links = [f"{name!r} {link.problem}" for name, link in external.items()][:_MOST_LISTED]
            reason = f": {'; '.join(links)}" if links else ""
            raise DataError(f"{path}: holds no dataset with one row a candidate{reason}")
        main = _main(path, parts, aliases.get(dotted := _dotted(tree), dotted), tree)
        columns = {
            _full(name, inner): column
            for name, part in parts.items()
            for inner, column in part.columns.items()
        }
        names = _names(parts, main, aliases)
        yield _Table(path, parts, main, columns | external, names, external)


def _full(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name  # datasets at the root have no prefix


_MOST_LISTED = 5
"""Links that a message lists at most."""
_FAMILY = b"NCSAfami"
"""Signature of HDF5's family driver, which stores one file in several pieces."""


def _refuse_family(path: Path) -> None:
    with path.open("rb") as file:
        if _FAMILY in file.read(512):
            raise DataError(
                f"{path}: is one piece of an HDF5 family of files, expected a single file; join "
                "them with `h5repart <name>_%d.h5 joined.h5`"
            )


def _find_parts(file: Any) -> dict[str, ColumnPart]:
    """Return dotted name -> part, for all groups and datasets reached by hard links."""
    import h5py

    parts: dict[str, ColumnPart] = {}
    plain: dict[str, dict[str, Any]] = {}
    pandas_prefixes: list[str] = []

    def visit(name: str, item: Any) -> None:
        if any(name.startswith(prefix) for prefix in pandas_prefixes):
            return  # the datasets of a data frame are read through its part
        dotted = _dotted(name)
        if isinstance(item, h5py.Group):
            part = pandas_part(item)
            if part:
                parts[dotted] = part
                pandas_prefixes.append(f"{name}/")
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
    """Return soft links, dotted name -> target, and links into other files as columns."""
    import h5py

    aliases: dict[str, str] = {}
    external: dict[str, Column] = {}

    def visit(name: str, link: Any) -> None:
        if isinstance(link, h5py.SoftLink):
            folder = "" if link.path.startswith("/") else name.rpartition("/")[0]
            aliases[_dotted(name)] = _dotted(posixpath.normpath(f"{folder}/{link.path}"))
        elif isinstance(link, h5py.ExternalLink):
            problem = f"is kept in {link.filename}; name that in `files` instead"
            external[_dotted(name)] = Column("link into another file", None, 0, problem=problem)

    file.visititems_links(visit)
    return aliases, external


def _dotted(name: str) -> str:
    return name.strip("/").replace("/", ".")


def _main(path: Path, parts: Mapping[str, ColumnPart], target: str, tree: str) -> str:
    """Return the part with the candidates' own variables; `target` is `tree` behind soft links."""
    if target in parts:
        return target
    if tree != TREE:
        raise DataError(
            f"{path}: no dataset or group {tree!r}{nearest(target, parts)}; it has "
            f"{', '.join(map(repr, parts))}"
        )
    one_row = [name for name, part in parts.items() if part.one_row]
    return one_row[0] if len(one_row) == 1 else ""


def _names(
    parts: Mapping[str, ColumnPart], main: str, aliases: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return every usable name of a branch -> its part, and its name in the part."""
    short: dict[str, tuple[str, str]] = {}
    ambiguous = set()
    full = {}
    for part, content in parts.items():
        for name in content.columns:
            full[_full(part, name)] = (part, name)
            if name in short:
                ambiguous.add(name)
            short[name] = (part, name)
    unique = {name: home for name, home in short.items() if name not in ambiguous}
    of_candidate = {name: (main, name) for name in parts[main].columns} if main else {}
    linked: dict[str, tuple[str, str]] = {}
    for alias, target in aliases.items():
        if target in parts:
            linked |= {f"{alias}.{name}": (target, name) for name in parts[target].columns}
        elif target in full:
            linked[alias] = full[target]
    return unique | of_candidate | linked | full  # the last has precedence
