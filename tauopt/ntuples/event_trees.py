"""Trees with one event an entry: candidates are a collection of lists, their objects others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.layout import AssociatedObjects, EventLayout
from tauopt.errors import DataError
from tauopt.ntuples import nested_columns, rntuple
from tauopt.ntuples.basket_headers import check_headers
from tauopt.ntuples.event_branches import (
    INDEX,
    KEY,
    Needed,
    Reference,
    anchor_of,
    depth_of,
    find_branches,
    reference,
)
from tauopt.ntuples.event_columns import EventCandidates, is_one
from tauopt.ntuples.nested_columns import Nested
from tauopt.ntuples.root_files import available_branches, open_tree, read_steps, typename
from tauopt.ntuples.source import STEP, BadFileError, Column, TableInfo, reading
from tauopt.ntuples.xaod import find_keys, link_keys
from tauopt.physics.jagged import Array, Jagged

_STEP_BYTES = 64_000_000
"""Held at a time of what is read; events with thousands of objects are read fewer at a time."""
_FEWEST = 100
"""Events read at a time, unless told to read fewer."""


@dataclass(frozen=True)
class EventTree:
    """A TTree with one event an entry; see `Source`, whose entries are the candidates."""

    path: Path
    tree: str
    layout: EventLayout

    def columns(self) -> dict[str, Column]:
        """List the branches of the tree, with what they hold of a candidate; see `Source`."""
        with open_tree(self.path, self.tree) as opened, reading(self.path):
            self._check_kind(opened)
            return {
                name: Column(typename(branch), self._own_kind(name, branch), branch.num_entries)
                for name, branch in opened.iteritems(recursive=True)
            }

    def _own_kind(self, name: str, branch: Any) -> bool | None:
        depth = depth_of(branch)
        if depth is None or not name.startswith(self.layout.candidates):
            return None if depth in (None, 2) else depth == 1
        return depth == 2

    def _check_kind(self, tree: Any) -> None:
        if tree.classname == rntuple.CLASS:
            raise DataError(
                f"{self.path}: {self.tree!r} is an RNTuple; `layout: events` is read from TTrees"
            )

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the header, and count candidates; see `Source`."""
        with open_tree(self.path, self.tree) as opened:
            needed, _ = self._look(opened, branches)
            jagged = {name: self._is_jagged(needed, name) for name in branches}
            types = {name: self._type(needed, name) for name in branches}
            entries = sum(int(part.sum()) for part in self._counts(opened, needed))
            return TableInfo(entries=entries, jagged=jagged, types=types)

    def counts(self, branches: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of candidates of each event, (event,); raises as `inspect`."""
        with open_tree(self.path, self.tree) as opened:
            needed, _ = self._look(opened, branches)
            parts = [*self._counts(opened, needed)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _counts(self, tree: Any, needed: Needed) -> Iterator[NDArray[np.int64]]:
        """Yield the number of candidates of each event, some events at a time."""
        anchor = anchor_of(needed, self.layout.candidates)
        only = Needed(branches={anchor: needed.branches[anchor]})
        for columns in self._read(tree, only, STEP):
            yield np.diff(columns[anchor].offsets[0])

    def iterate(
        self, branches: Sequence[str], *, step: int = STEP
    ) -> Iterator[dict[str, Array | Jagged]]:
        """Read the candidates of at most `step` events at a time; empty parts are passed over.

        Yields and raises as `Source`; also
            DataError: branches of one collection disagree about its objects, or an index is
                beyond its collection.
        """
        with open_tree(self.path, self.tree) as opened:
            needed, keys = self._look(opened, branches)
            for columns in self._read(opened, needed, step):
                event = EventCandidates(self.layout, needed, columns, keys, where=str(self.path))
                if event.candidates:
                    yield {name: event.column(name) for name in branches}

    def _check_baskets(self, needed: Needed) -> None:
        with reading(self.path), self.path.open("rb") as file:
            for name, branch in needed.branches.items():
                with reading(self.path, f"branch {name!r} "):
                    check_headers(branch, file.fileno())

    def _of(self, name: str) -> Reference:
        return reference(self.layout, name)

    def _look(self, tree: Any, names: Sequence[str]) -> tuple[Needed, Mapping[str, int]]:
        """Find the branches and the keys of links; all problems at once."""
        self._check_kind(tree)
        with reading(self.path):
            needed = find_branches(self.layout, names, available_branches(tree))
            entries = int(tree.num_entries)
        for name, branch in needed.branches.items():
            if int(branch.num_entries) != entries:
                raise BadFileError(
                    f"{self.path}: branch {name!r} has {branch.num_entries} entries, "
                    f"the tree {entries}"
                )
        problems = [*needed.problems, *self._too_deep(needed, names)]
        keys, unknown = find_keys(
            self._used(needed), lambda: link_keys(tree.file.root_directory, path=self.path)
        )
        if problems or unknown:
            told = "; ".join([*problems, *unknown])
            raise DataError(f"{self.path}: tree {tree.name!r}: {told}")
        return needed, keys

    def _used(self, needed: Needed) -> dict[str, AssociatedObjects]:
        """Return the objects whose links are read."""
        return {
            name: objects
            for name, objects in self.layout.objects.items()
            if objects.links and all(link in needed.links for link in objects.links)
        }

    def _type(self, needed: Needed, name: str) -> str:
        of = self._of(name)
        return needed.types[of.branch] if of.branch else "computed"

    def _too_deep(self, needed: Needed, names: Sequence[str]) -> Iterator[str]:
        for name in names:
            of = self._of(name)
            depth = needed.depths.get(of.branch, 1)
            if of.objects and depth == 0:
                yield f"{name!r} is one number an event (branch {of.branch!r}), expected lists"
            elif of.objects and depth > 1 and not is_one(self.layout.objects[of.objects], needed):
                yield f"{name!r} is a list for each of several objects; expected one number"
            elif not of.objects and depth > 1 and not name.startswith(self.layout.candidates):
                yield f"branch {name!r} is a list of lists of the event; expected numbers or a list"

    def _is_jagged(self, needed: Needed, name: str) -> bool:
        of = self._of(name)
        depth = needed.depths.get(of.branch, 1)
        if not of.objects:
            own = name.startswith(self.layout.candidates)
            return depth == 2 if own else depth == 1
        if of.variable == "matched":
            return False
        return depth == 2 or not is_one(self.layout.objects[of.objects], needed)

    def _read(self, tree: Any, needed: Needed, step: int) -> Iterator[dict[str, Nested]]:
        """Read branches of at most `step` events at a time, links as their two members."""
        self._check_baskets(needed)
        total, seen = int(tree.num_entries), 0
        size = sum(int(branch.uncompressed_bytes) for branch in needed.branches.values())
        step = min(step, max(_FEWEST, _STEP_BYTES * total // max(1, size)))
        steps = read_steps(tree, needed.branches, path=self.path, step=step, entries=(0, total))
        for start, arrays in steps:
            count = min(step, total - start)
            columns = {}
            for name, values in arrays.items():
                what = f"{self.path}: branch {name!r}"
                if len(values) != count:
                    raise BadFileError(
                        f"{what} gave {len(values)} entries from {start} on, expected {count}"
                    )
                if name in needed.links:
                    for part in (KEY, INDEX):
                        columns[f"{name}.{part}"] = nested_columns.from_awkward(
                            values[part], name=what
                        )
                else:
                    columns[name] = nested_columns.from_awkward(values, name=what)
            seen += count
            yield columns
        if seen != total:
            raise BadFileError(
                f"{self.path}: read {seen} entries of {self.tree!r}, expected {total}"
            )
