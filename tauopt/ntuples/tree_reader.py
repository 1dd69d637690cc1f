"""An open tree, from which any range of entries can be read, by several threads at once."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.ntuples import rntuple
from tauopt.ntuples.basket_headers import check_headers
from tauopt.ntuples.baskets import Baskets, BranchReader, baskets_of, stores_offsets
from tauopt.ntuples.root_files import look, open_tree, read_steps
from tauopt.ntuples.source import BadFileError, Columns, check_range, reading
from tauopt.physics.jagged import Jagged, from_array


class TreeReader:
    """Some branches of a TTree or RNTuple; see `Reader`.

    It holds the places of baskets. The file is closed when the reader is dropped.
    """

    def __init__(self, path: Path, tree: str, branches: Sequence[str]) -> None:
        """Open a tree and check its branches; raises as `Source.inspect`."""
        self.path, self._names = path, tuple(branches)
        self._lock = threading.Lock()
        with contextlib.ExitStack() as stack:
            self._tree = stack.enter_context(open_tree(path, tree))
            info, chosen = look(self._tree, branches, where=path)
            self.entries = info.entries
            with reading(path):
                self._file = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            self._baskets = dict(self._readable(chosen))
            self._others = {n: b for n, b in chosen.items() if n not in self._baskets}
            if self._others:  # uproot goes on reading
                weakref.finalize(self, stack.pop_all().close)
            else:
                del self._tree

    def _readable(self, chosen: Mapping[str, Any]) -> Iterator[tuple[str, Baskets]]:
        """Yield the branches that are read without uproot, and check what it will read."""
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
        """Entries at which baskets of all branches begin, and the end; see `Reader`."""
        edges = [baskets.edges for baskets in self._baskets.values()]
        common = functools.reduce(np.intersect1d, edges) if edges else np.empty(0, np.int64)
        return np.union1d(common, [0, self.entries]).astype(np.int64)

    def read(self, start: int, stop: int) -> Columns:
        """Read the entries from `start` to `stop`; see `Reader`."""
        check_range(start, stop, entries=self.entries, path=self.path)
        return next(self.steps(start, stop, step=stop - start))

    def steps(self, start: int, stop: int, *, step: int) -> Iterator[Columns]:
        """Read the entries from `start` to `stop`, `step` at a time; raises as `read`."""
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
        """Read the other branches; gives a step at a time, and notices short ones."""
        entries = (start, stop)
        steps = read_steps(self._tree, self._others, path=self.path, step=step, entries=entries)
        for first in range(start, stop, step):
            count = min(step, stop - first)
            with self._lock:
                _, arrays = next(steps, (first, {}))
            for name in self._others:
                found = len(arrays.get(name, ()))
                if found != count:
                    raise BadFileError(
                        f"{self.path}: branch {name!r} gave {found} entries from {first} on, "
                        f"expected {count}"
                    )
            yield {
                name: from_array(values, name=f"{self.path}: branch {name!r}")
                for name, values in arrays.items()
            }


def _with_shared_offsets(columns: Columns) -> Columns:
    """Give branches of the same objects the very same offsets, so that it shows at a glance."""
    known: list[NDArray[np.int64]] = []
    for name, column in columns.items():
        if isinstance(column, Jagged):
            same = (offsets for offsets in known if np.array_equal(offsets, column.offsets))
            offsets = next(same, column.offsets)
            if offsets is column.offsets:
                known.append(offsets)
            columns[name] = Jagged(column.content, offsets)
    return columns
