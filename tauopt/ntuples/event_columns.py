"""Turn branches of some events into columns of their candidates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.layout import AssociatedObjects, EventLayout
from tauopt.errors import DataError
from tauopt.ntuples import nested_columns
from tauopt.ntuples.associate import (
    Directions,
    by_index,
    by_links,
    follow,
    in_cone,
    nearest,
    owners,
)
from tauopt.ntuples.event_branches import (
    INDEX,
    KEY,
    NeededBranches,
    Reference,
    anchor_of,
    reference,
)
from tauopt.ntuples.nested_columns import Nested
from tauopt.physics.expressions import parse
from tauopt.physics.jagged import Array, Jagged
from tauopt.physics.kinematics import delta_phi, delta_r


def at_most_one(objects: AssociatedObjects, needed: NeededBranches) -> bool:
    """Return whether a candidate has at most one such object, by the association's type."""
    if objects.links:
        return all(needed.links.get(link) == 1 for link in objects.links)
    return objects.nearest is not None or needed.depths.get(objects.index or "") == 1


class EventCandidates:
    """The candidates of some events; each association is computed once, at its first use."""

    def __init__(
        self,
        layout: EventLayout,
        needed: NeededBranches,
        columns: Mapping[str, Nested],
        keys: Mapping[str, int],
        *,
        where: str,
    ) -> None:
        """Hold the branches of some events.

        Args:
            layout: of the events.
            needed: types and depths of the branches.
            columns: values by branch; links as their two members.
            keys: `<objects>.<step>` -> `m_persKey`.
            where: file, for messages.
        """
        self._layout, self._needed, self._columns, self._keys = layout, needed, columns, keys
        self._where = where
        self._members: dict[str, Jagged] = {}
        self._offsets = self._offsets_of(layout.candidates)
        self._events = owners(self._offsets)
        self.candidates = len(self._events)

    def column(self, name: str) -> Array | Jagged:
        """Return a variable of all candidates, by its name in expressions.

        Returns:
            numpy (candidate,), or `Jagged`.
        Raises:
            DataError: branches of one collection have different numbers of objects, or an index
                is beyond its collection.
        """
        ref = reference(self._layout, name)
        if not ref.objects:
            column = self._columns[ref.branch]
            if name.startswith(self._layout.candidates) and column.offsets:
                return self._items(ref.branch, self._offsets)
            return nested_columns.repeat(
                column, self._events, name=f"{self._where}: branch {name!r}"
            )
        members = self._members_of(ref.objects)
        if ref.variable == "matched":
            return members.counts > 0
        objects = self._layout.objects[ref.objects]
        values = self._values(ref, objects, members)
        if at_most_one(objects, self._needed):
            return _fill_unmatched(values, members, unmatched=objects.unmatched)
        if isinstance(values, Jagged):
            raise DataError(f"{self._where}: {name!r} is a list for each of several objects")
        return Jagged(values, members.offsets)

    def _values(
        self, ref: Reference, objects: AssociatedObjects, members: Jagged
    ) -> Array | Jagged:
        """Return a variable of all members, one after the other."""
        if ref.variable:
            return self._distance(ref.variable, objects, members)
        items = self._items(ref.branch, self._offsets_of(objects.collection))
        return nested_columns.take(items, members.content)

    def _items(self, branch: str, offsets: NDArray[np.int64]) -> Array | Jagged:
        """Return a branch's value of each object of the collection that has these offsets."""
        column = self._columns[branch]
        if not column.offsets or not np.array_equal(column.offsets[0], offsets):
            raise DataError(
                f"{self._where}: branch {branch!r} has other numbers of objects in its events "
                "than the other branches of its collection; check the prefixes in `layout`"
            )
        return column.items

    def _offsets_of(self, prefix: str) -> NDArray[np.int64]:
        return self._columns[anchor_of(self._needed, prefix)].offsets[0]

    def _members_of(self, name: str) -> Jagged:
        """Return the positions of each candidate's objects in their collection."""
        if name not in self._members:
            self._members[name] = self._associate(name, self._layout.objects[name])
        return self._members[name]

    def _associate(self, name: str, objects: AssociatedObjects) -> Jagged:
        offsets = self._offsets_of(objects.collection)
        if objects.index:
            index = _as_lists(self._items(objects.index, self._offsets))
            where = f"{self._where}: branch {objects.index!r}"
            return by_index(index, self._events, offsets, name=where)
        if objects.links:
            return self._linked(name, objects.links, offsets)
        radius = objects.cone or objects.nearest or 0.0
        associate = in_cone if objects.cone else nearest
        return associate(self._directions(self._layout), self._directions(objects), radius)

    def _linked(self, name: str, links: tuple[str, ...], target: NDArray[np.int64]) -> Jagged:
        """Follow one or two steps of links to the collection with the offsets `target`."""
        sources = [
            self._offsets,
            *(self._columns[f"{link}.{KEY}"].offsets[0] for link in links[1:]),
        ]
        targets = [*sources[1:], target]
        steps = []
        for step, link in enumerate(links):
            keys, index = (
                _as_lists(self._items(f"{link}.{member}", sources[step])) for member in (KEY, INDEX)
            )
            key = self._keys[f"{name}.{step}"]
            steps.append(by_links(keys, index, owners(sources[step]), targets[step], key=key))
        return steps[0] if len(steps) == 1 else follow(*steps)

    def _directions(self, collection: AssociatedObjects | EventLayout) -> Directions:
        """Compute the directions of the candidates (of a layout) or of objects."""
        prefix = (
            collection.candidates if isinstance(collection, EventLayout) else collection.collection
        )
        offsets = self._offsets_of(prefix)
        values = []
        for text in (collection.eta, collection.phi):
            expression = parse(text)
            columns = {b: self._items(prefix + b, offsets) for b in expression.branches}
            result = expression.evaluate_flat(columns, entries=int(offsets[-1]))
            if isinstance(result, Jagged):
                raise DataError(
                    f"{self._where}: {text!r} of {prefix!r} gives several values an object, "
                    "expected one"
                )
            values.append(result.astype(np.float64))
        return Directions(values[0], values[1], offsets)

    def _distance(self, variable: str, objects: AssociatedObjects, members: Jagged) -> Array:
        """Return `d_eta`, `d_phi` or `d_r` of the members from their candidate, (member,)."""
        candidates, others = self._directions(self._layout), self._directions(objects)
        owner = owners(members.offsets)
        eta = others.eta[members.content] - candidates.eta[owner]
        phi = delta_phi(others.phi[members.content], candidates.phi[owner])
        return {"d_eta": eta, "d_phi": phi}.get(variable, delta_r(eta, phi))


def _as_lists(values: Array | Jagged) -> Jagged:
    if isinstance(values, Jagged):
        return values
    return Jagged(values, np.arange(len(values) + 1, dtype=np.int64))


def _fill_unmatched(values: Array | Jagged, members: Jagged, *, unmatched: float) -> Array | Jagged:
    """Return one value or list a candidate; `unmatched` or an empty list where it has no object."""
    matched = members.counts > 0
    if isinstance(values, Jagged):
        ends = np.zeros(len(matched) + 1, dtype=np.int64)
        counts = np.zeros(len(matched), dtype=np.int64)
        counts[matched] = values.counts
        np.cumsum(counts, out=ends[1:])
        return Jagged(values.content, ends)
    dtype: np.dtype[np.generic] = values.dtype
    if dtype.kind != "f":
        with np.errstate(all="ignore"):
            is_exact = float(np.float64(unmatched).astype(dtype)) == unmatched
        dtype = dtype if is_exact else np.dtype(np.float64)
    result = np.full(len(matched), unmatched, dtype=dtype)
    result[matched] = values
    return result
