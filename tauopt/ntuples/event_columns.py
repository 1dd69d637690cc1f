"""Branches of some events -> the columns of their candidates."""

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
from tauopt.ntuples.event_branches import INDEX, KEY, Needed, Reference, anchor_of, reference
from tauopt.ntuples.nested_columns import Nested
from tauopt.physics.expressions import parse
from tauopt.physics.jagged import Array, Jagged
from tauopt.physics.kinematics import delta_phi, delta_r


def is_one(objects: AssociatedObjects, needed: Needed) -> bool:
    """Say whether a candidate has one such object at most, by the kinds of the branches."""
    if objects.links:
        return all(needed.links.get(link) == 1 for link in objects.links)
    return objects.nearest is not None or needed.depths.get(objects.index or "") == 1


class EventCandidates:
    """The candidates of some events; each association is made once, when it is first asked for."""

    def __init__(
        self,
        layout: EventLayout,
        needed: Needed,
        columns: Mapping[str, Nested],
        keys: Mapping[str, int],
        *,
        where: str,
    ) -> None:
        """Hold what was read of some events.

        Args:
            layout: of the events.
            needed: what the branches are.
            columns: of the events, by branch; links as their two members.
            keys: `m_persKey` of `<objects>.<step>`.
            where: file, for messages.
        Raises:
            DataError: branches of one collection disagree about its objects.
        """
        self._layout, self._needed, self._columns, self._keys = layout, needed, columns, keys
        self._where = where
        self._members: dict[str, Jagged] = {}
        self._offsets = self._offsets_of(layout.candidates)
        self._events = owners(self._offsets)
        self.candidates = len(self._events)

    def column(self, name: str) -> Array | Jagged:
        """Return the values of all candidates, by the name that expressions use.

        Returns:
            numpy (candidate,), or `Jagged`.
        """
        of = reference(self._layout, name)
        if not of.objects:
            column = self._columns[of.branch]
            if name.startswith(self._layout.candidates) and column.offsets:
                return self._items(of.branch, self._offsets)
            return nested_columns.repeat(
                column, self._events, name=f"{self._where}: branch {name!r}"
            )
        members = self._members_of(of.objects)
        if of.variable == "matched":
            return members.counts > 0
        objects = self._layout.objects[of.objects]
        values = self._values(of, objects, members)
        if is_one(objects, self._needed):
            return _one(values, members, unmatched=objects.unmatched)
        if isinstance(values, Jagged):
            raise DataError(f"{self._where}: {name!r} is a list for each of several objects")
        return Jagged(values, members.offsets)

    def _values(self, of: Reference, objects: AssociatedObjects, members: Jagged) -> Array | Jagged:
        """Return a variable of all members, one after the other."""
        if of.variable:
            return self._distance(of.variable, objects, members)
        items = self._items(of.branch, self._offsets_of(objects.collection))
        return nested_columns.take(items, members.content)

    def _items(self, branch: str, offsets: NDArray[np.int64]) -> Array | Jagged:
        """Return a collection's values, which must be one an object."""
        column = self._columns[branch]
        if not column.offsets or not np.array_equal(column.offsets[0], offsets):
            raise DataError(
                f"{self._where}: branch {branch!r} has other numbers of objects in its events "
                "than other branches of its collection"
            )
        return column.items

    def _offsets_of(self, prefix: str) -> NDArray[np.int64]:
        return self._columns[anchor_of(self._needed, prefix)].offsets[0]

    def _members_of(self, name: str) -> Jagged:
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
        find = in_cone if objects.cone else nearest
        return find(self._candidate_directions(), self._directions(objects), radius)

    def _linked(self, name: str, links: tuple[str, ...], end: NDArray[np.int64]) -> Jagged:
        """Follow one or two steps of links."""
        starts = [self._offsets, *(self._columns[f"{x}.{KEY}"].offsets[0] for x in links[1:])]
        ends = [*starts[1:], end]
        steps = []
        for step, link in enumerate(links):
            key, index = (
                _as_lists(self._items(f"{link}.{part}", starts[step])) for part in (KEY, INDEX)
            )
            steps.append(
                by_links(
                    key, index, owners(starts[step]), ends[step], key=self._keys[f"{name}.{step}"]
                )
            )
        return steps[0] if len(steps) == 1 else follow(*steps)

    def _directions(self, of: AssociatedObjects | EventLayout) -> Directions:
        prefix = of.candidates if isinstance(of, EventLayout) else of.collection
        offsets = self._offsets_of(prefix)
        values = []
        for text in (of.eta, of.phi):
            expression = parse(text)
            columns = {b: self._items(prefix + b, offsets) for b in expression.branches}
            result = expression.evaluate_flat(columns, entries=int(offsets[-1]))
            if isinstance(result, Jagged):
                raise DataError(f"{self._where}: {text!r} of {prefix!r} gives several values")
            values.append(result.astype(np.float64))
        return Directions(values[0], values[1], offsets)

    def _candidate_directions(self) -> Directions:
        return self._directions(self._layout)

    def _distance(self, variable: str, objects: AssociatedObjects, members: Jagged) -> Array:
        """Return how far the members are from their candidate, in eta, phi or both."""
        candidates, others = self._candidate_directions(), self._directions(objects)
        owner = owners(members.offsets)
        eta = others.eta[members.content] - candidates.eta[owner]
        phi = delta_phi(others.phi[members.content], candidates.phi[owner])
        return {"d_eta": eta, "d_phi": phi}.get(variable, delta_r(eta, phi))


def _as_lists(values: Array | Jagged) -> Jagged:
    if isinstance(values, Jagged):
        return values
    return Jagged(values, np.arange(len(values) + 1, dtype=np.int64))


def _one(values: Array | Jagged, members: Jagged, *, unmatched: float) -> Array | Jagged:
    """Return one value a candidate, or one list; `unmatched`, or none, where it has no object."""
    matched = members.counts > 0
    if isinstance(values, Jagged):
        ends = np.zeros(len(matched) + 1, dtype=np.int64)
        counts = np.zeros(len(matched), dtype=np.int64)
        counts[matched] = values.counts
        np.cumsum(counts, out=ends[1:])
        return Jagged(values.content, ends)
    result = np.full(len(matched), unmatched, dtype=_holding(values.dtype, unmatched))
    result[matched] = values
    return result


def _holding(dtype: np.dtype[np.generic], value: float) -> np.dtype[np.generic]:
    """Return the type of a column, or float64 where it can't hold `value`."""
    if dtype.kind == "f":
        return dtype
    with np.errstate(all="ignore"):
        exact = float(np.float64(value).astype(dtype)) == value
    return dtype if exact else np.dtype(np.float64)
