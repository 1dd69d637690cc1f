"""Read TTrees and RNTuples with one candidate an entry into flat arrays.

Any range of entries can be read, by several threads at once; every short or damaged read is an
error.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.ntuples import rntuple
from tauopt.ntuples.bad_files import BadFileError, check_range, reading
from tauopt.ntuples.basket_headers import check_headers
from tauopt.ntuples.baskets import Baskets, BranchReader, baskets_of, stores_offsets
from tauopt.ntuples.root_files import column_or_problem, inspect_tree, open_tree, read_steps
from tauopt.ntuples.source import STEP, Column, Columns, TableInfo
from tauopt.physics.jagged import Jagged, from_array


@dataclass(frozen=True)
class RootTree:
    """A TTree or RNTuple with one candidate an entry; see `Source`."""

    path: Path
    tree: str

    def columns(self) -> dict[str, Column]:
        """List all branches; see `Source`."""
        with open_tree(self.path, self.tree) as opened, reading(self.path):
            paths = dict(opened.iteritems(recursive=True))
            names = Counter(branch.name for branch in paths.values())
            columns = {}
            for path, branch in paths.items():
                is_short = branch.name not in paths and names[branch.name] == 1
                short = branch.name if is_short else ""
                columns[path] = column_or_problem(branch)._replace(short=short)
            return columns

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Read the header; see `Source`."""
        with open_tree(self.path, self.tree) as opened:
            return inspect_tree(opened, branches, where=self.path)[0]

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches; see `Source`."""
        reader = self.open(branches)
        return reader.steps(0, reader.entries, step=step)

    def open(self, branches: Sequence[str]) -> TreeReader:
        """Open the tree for random access; see `Seekable`."""
        return TreeReader(self.path, self.tree, branches)


class TreeReader:
    """Some branches of an open TTree or RNTuple; see `Reader`.

    It holds the positions of baskets. The file is closed when the reader is dropped.
    """

    def __init__(self, path: Path, tree: str, branches: Sequence[str]) -> None:
        """Open a tree and check its branches; raises as `Source.inspect`."""
        self.path, self._names = path, tuple(branches)
        self._lock = threading.Lock()
        with contextlib.ExitStack() as stack:
            self._tree = stack.enter_context(open_tree(path, tree))
            info, chosen = inspect_tree(self._tree, branches, where=path)
            self.entries = info.entries
            with reading(path):
                self._file = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            self._baskets = dict(self._decodable(chosen))
            self._others = {n: b for n, b in chosen.items() if n not in self._baskets}
            if self._others:  # uproot reads these, and needs its file open until the end
                weakref.finalize(self, stack.pop_all().close)
            else:
                del self._tree

    def _decodable(self, chosen: Mapping[str, Any]) -> Iterator[tuple[str, Baskets]]:
        """Yield the branches that are decoded without uproot; check the headers of the others."""
        if self._tree.classname == rntuple.CLASS:
            return
        for name, branch in chosen.items():
            with reading(self.path, f"branch {name!r} "):
                baskets = baskets_of(branch)
                if baskets is not None and stores_offsets(baskets, self._file):
                    yield name, baskets
                else:
                    check_headers(branch, self._file)

    @property
    def seams(self) -> NDArray[np.int64]:
        """Entries at which the baskets of all branches begin, and the end; see `Reader`."""
        edges = [baskets.edges for baskets in self._baskets.values()]
        common = functools.reduce(np.intersect1d, edges) if edges else np.empty(0, np.int64)
        return np.union1d(common, [0, self.entries]).astype(np.int64)

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries [start, stop); see `Reader`."""
        check_range(start, stop, entries=self.entries, path=self.path)
        return next(self.steps(start, stop, step=stop - start))

    def steps(self, start: int, stop: int, *, step: int) -> Iterator[Columns]:
        """Read the entries [start, stop), `step` at a time; raises as `read`."""
        readers = {name: BranchReader(b, self._file) for name, b in self._baskets.items()}
        others = self._by_uproot(start, stop, step=step)
        for first in range(start, stop, step):
            columns: Columns = {}
            for name, reader in readers.items():
                with reading(self.path, f"branch {name!r} "):
                    columns[name] = reader.read(first, min(first + step, stop))
            columns |= next(others) if self._others else {}
            yield _with_shared_offsets({name: columns[name] for name in self._names})

    def _by_uproot(self, start: int, stop: int, *, step: int) -> Iterator[Columns]:
        """Read the other branches step by step; BadFileError if a step is short."""
        entries = (start, stop)
        steps = read_steps(self._tree, self._others, path=self.path, step=step, entries=entries)
        for first in range(start, stop, step):
            count = min(step, stop - first)
            with self._lock:
                _, arrays = next(steps, (first, {}))
            for name in self._others:
                entries_read = len(arrays.get(name, ()))
                if entries_read != count:
                    raise BadFileError(
                        f"{self.path}: branch {name!r} gave {entries_read} entries from {first} "
                        f"on, expected {count}"
                    )
            yield {
                name: from_array(values, name=f"{self.path}: branch {name!r}")
                for name, values in arrays.items()
            }


def _with_shared_offsets(columns: Columns) -> Columns:
    """Give branches of the same objects one offsets array, so that `is` shows that they match."""
    distinct: list[NDArray[np.int64]] = []
    for name, column in columns.items():
        if isinstance(column, Jagged):
            same = (offsets for offsets in distinct if np.array_equal(offsets, column.offsets))
            offsets = next(same, column.offsets)
            if offsets is column.offsets:
                distinct.append(offsets)
            columns[name] = Jagged(column.content, offsets)
    return columns
