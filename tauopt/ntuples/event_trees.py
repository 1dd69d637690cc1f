"""Read the candidates of trees with one event an entry.

The candidates are one collection of lists, and the objects associated with them are others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.layout import EventLayout
from tauopt.errors import DataError
from tauopt.ntuples import nested_columns, rntuple
from tauopt.ntuples.bad_files import BadFileError, reading
from tauopt.ntuples.basket_headers import check_headers
from tauopt.ntuples.event_branches import (
    INDEX,
    KEY,
    NeededBranches,
    anchor_of,
    depth_of,
    find_branches,
    reference,
)
from tauopt.ntuples.event_columns import EventCandidates, at_most_one
from tauopt.ntuples.nested_columns import Nested
from tauopt.ntuples.root_files import available_branches, open_tree, read_steps, typename
from tauopt.ntuples.source import STEP, Column, TableInfo
from tauopt.ntuples.xaod import find_keys, link_keys
from tauopt.physics.jagged import Array, Jagged

_STEP_BYTES = 64_000_000
"""Bytes read at a time, about: large events are read in smaller steps."""
_FEWEST = 100
"""Events that such a smaller step has at least."""


@dataclass(frozen=True)
class EventTree:
    """A TTree with one event an entry; see `Source`, whose entries are the candidates."""

    path: Path
    tree: str
    layout: EventLayout

    def columns(self) -> dict[str, Column]:
        """List the branches of the tree, jagged as seen from a candidate; see `Source`."""
        with open_tree(self.path, self.tree) as opened, reading(self.path):
            self._check_is_ttree(opened)
            return {
                name: Column(
                    typename(branch), self._jagged(name, depth_of(branch)), branch.num_entries
                )
                for name, branch in opened.iteritems(recursive=True)
            }

    def _jagged(self, name: str, depth: int | None) -> bool | None:
        """Return whether a branch holds a list a candidate; None if it can't be read."""
        if name.startswith(self.layout.candidates):
            return None if depth is None else depth == 2
        return None if depth in (None, 2) else depth == 1

    def _check_is_ttree(self, tree: Any) -> None:
        if tree.classname == rntuple.CLASS:
            raise DataError(
                f"{self.path}: {self.tree!r} is an RNTuple; `layout: events` is read from TTrees"
            )

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Read the header, and count the candidates; see `Source`."""
        with open_tree(self.path, self.tree) as opened:
            needed, _ = self._find(opened, branches)
            jagged = {name: self._is_jagged(needed, name) for name in branches}
            types = {name: self._type(needed, name) for name in branches}
            entries = sum(int(part.sum()) for part in self._counts(opened, needed))
            return TableInfo(entries=entries, jagged=jagged, types=types)

    def counts(self, branches: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of candidates of each event, (event,); raises as `inspect`."""
        with open_tree(self.path, self.tree) as opened:
            needed, _ = self._find(opened, branches)
            parts = [*self._counts(opened, needed)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _counts(self, tree: Any, needed: NeededBranches) -> Iterator[NDArray[np.int64]]:
        """Yield the number of candidates of each event, some events at a time."""
        anchor = anchor_of(needed, self.layout.candidates)
        only_anchor = NeededBranches(branches={anchor: needed.branches[anchor]})
        for columns in self._read(tree, only_anchor, STEP):
            yield np.diff(columns[anchor].offsets[0])

    def iterate(
        self, branches: Sequence[str], *, step: int = STEP
    ) -> Iterator[dict[str, Array | Jagged]]:
        """Read the candidates of at most `step` events at a time; skip steps without candidates.

        Yields and raises as `Source`; also
            DataError: branches of one collection have different numbers of objects, or an index
                is beyond its collection.
        """
        with open_tree(self.path, self.tree) as opened:
            needed, keys = self._find(opened, branches)
            for columns in self._read(opened, needed, step):
                events = EventCandidates(self.layout, needed, columns, keys, where=str(self.path))
                if events.candidates:
                    yield {name: events.column(name) for name in branches}

    def _find(self, tree: Any, names: Sequence[str]) -> tuple[NeededBranches, Mapping[str, int]]:
        """Find the branches and the keys of links; one DataError lists all problems."""
        self._check_is_ttree(tree)
        with reading(self.path):
            needed = find_branches(self.layout, names, available_branches(tree))
            entries = int(tree.num_entries)
        for name, branch in needed.branches.items():
            if int(branch.num_entries) != entries:
                raise BadFileError(
                    f"{self.path}: branch {name!r} has {branch.num_entries} entries, "
                    f"the tree {entries}"
                )
        linked = {
            name: objects
            for name, objects in self.layout.objects.items()
            if objects.links and all(link in needed.links for link in objects.links)
        }
        keys, unknown_keys = find_keys(
            linked, lambda: link_keys(tree.file.root_directory, path=self.path)
        )
        problems = [*needed.problems, *self._wrong_depths(needed, names), *unknown_keys]
        if problems:
            raise DataError(f"{self.path}: tree {tree.name!r}: {'; '.join(problems)}")
        return needed, keys

    def _type(self, needed: NeededBranches, name: str) -> str:
        ref = reference(self.layout, name)
        return needed.types[ref.branch] if ref.branch else "computed"

    def _wrong_depths(self, needed: NeededBranches, names: Sequence[str]) -> Iterator[str]:
        """Yield a message for each name that is not one number or one list a candidate."""
        for name in names:
            ref = reference(self.layout, name)
            depth = needed.depths.get(ref.branch, 1)
            if ref.objects and depth == 0:
                yield f"{name!r} is one number an event (branch {ref.branch!r}), expected lists"
            elif (
                ref.objects
                and depth > 1
                and not at_most_one(self.layout.objects[ref.objects], needed)
            ):
                yield f"{name!r} is a list for each of several objects; expected one number"
            elif not ref.objects and depth > 1 and not name.startswith(self.layout.candidates):
                yield f"branch {name!r} is a list of lists of the event; expected numbers or a list"

    def _is_jagged(self, needed: NeededBranches, name: str) -> bool:
        ref = reference(self.layout, name)
        depth = needed.depths.get(ref.branch, 1)
        if not ref.objects:
            return bool(self._jagged(name, depth))
        if ref.variable == "matched":
            return False
        return depth == 2 or not at_most_one(self.layout.objects[ref.objects], needed)

    def _read(self, tree: Any, needed: NeededBranches, step: int) -> Iterator[dict[str, Nested]]:
        """Read branches of at most `step` events at a time, links as their two members."""
        with reading(self.path), self.path.open("rb") as file:
            for name, branch in needed.branches.items():
                with reading(self.path, f"branch {name!r} "):
                    check_headers(branch, file.fileno())
        total, events_read = int(tree.num_entries), 0
        size = sum(int(branch.uncompressed_bytes) for branch in needed.branches.values())
        step = min(step, max(_FEWEST, _STEP_BYTES * total // max(1, size)))
        steps = read_steps(tree, needed.branches, path=self.path, step=step, entries=(0, total))
        for start, arrays in steps:
            count = min(step, total - start)
            columns = {}
            for name, values in arrays.items():
                where = f"{self.path}: branch {name!r}"
                if len(values) != count:
                    raise BadFileError(
                        f"{where} gave {len(values)} entries from {start} on, expected {count}"
                    )
                if name in needed.links:
                    for member in (KEY, INDEX):
                        columns[f"{name}.{member}"] = nested_columns.from_awkward(
                            values[member], name=where
                        )
                else:
                    columns[name] = nested_columns.from_awkward(values, name=where)
            events_read += count
            yield columns
        if events_read != total:
            raise BadFileError(
                f"{self.path}: read {events_read} entries of {self.tree!r}, expected {total}"
            )
