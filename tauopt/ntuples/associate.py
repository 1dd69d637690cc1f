"""Associate objects with candidates of the same event: by index, ElementLink, cone or distance.

Objects and candidates of many events are stored one after the other; `offsets` (event + 1) say
where those of each event begin. A result is a `Jagged` over candidates whose content are positions
among the objects of all events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.physics.jagged import Array, Jagged, take_index
from tauopt.physics.kinematics import delta_phi, delta_r

Positions = NDArray[np.int64]

_PAIRS = 2_000_000
"""Pairs of candidate and object that are computed at once; bounds the memory of cones."""


class Directions(NamedTuple):
    """Directions of the candidates or objects of many events; NaN is close to nothing."""

    eta: Array
    phi: Array
    offsets: NDArray[np.int64]
    """(event + 1)."""


def owners(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each object the number of the list that holds it, (object,)."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))


def by_index(
    index: Jagged, events: NDArray[np.int64], offsets: NDArray[np.int64], *, name: str
) -> Jagged:
    """Associate objects by their position in the event's collection.

    Args:
        index: for each candidate, positions in its event; negative means no object.
        events: number of the event of each candidate, (candidate,).
        offsets: of the collection, (event + 1).
        name: of the index branch, for messages.
    Returns:
        for each candidate, positions among all objects.
    Raises:
        DataError: an index is beyond its event's collection, or is not an integer.
    """
    if index.content.dtype.kind not in "iu":
        raise DataError(f"{name}: positions are {index.content.dtype}, expected integers")
    local = index.content.astype(np.int64)
    event = np.repeat(events, index.counts)
    beyond = local >= np.diff(offsets)[event]
    if beyond.any():
        first = int(np.flatnonzero(beyond)[0])
        raise DataError(
            f"{name}: {int(beyond.sum())} of {len(local)} point beyond the end of their event's "
            f"collection, for instance {local[first]} of {np.diff(offsets)[event[first]]}: is it "
            "the right collection?"
        )
    return _keep(Jagged(local + offsets[event], index.offsets), local >= 0)


def by_links(
    keys: Jagged,
    index: Jagged,
    events: NDArray[np.int64],
    offsets: NDArray[np.int64],
    *,
    key: int,
) -> Jagged:
    """Associate objects by xAOD ElementLinks.

    Args:
        keys: `m_persKey` of each link; 0 is a null link, whatever its index.
        index: `m_persIndex` of each link.
        events: number of the event of each candidate, (candidate,).
        offsets: of the collection, (event + 1).
        key: `m_persKey` of links into this collection.
    Returns:
        for each candidate, positions among all objects; without links that have another key or
        point to objects that skimming removed, as `ElementLink::isValid` has it.
    """
    local = index.content.astype(np.int64)
    event = np.repeat(events, index.counts)
    valid = (keys.content == key) & (local < np.diff(offsets)[event])
    return _keep(Jagged(local + offsets[event], index.offsets), valid)


def follow(first: Jagged, second: Jagged) -> Jagged:
    """Chain two associations: `first` leads to objects, `second` from these to others."""
    index, inner = take_index(second.offsets, first.content)
    return Jagged(second.content[index], inner[first.offsets])


def in_cone(candidates: Directions, objects: Directions, radius: float) -> Jagged:
    """Associate all objects closer than `radius` in (eta, phi), in the collection's order."""
    positions, counts = [], []
    for pairs, position, distance in _pairs(candidates, objects):
        inside = _keep(Jagged(position, pairs), distance < radius)
        positions.append(inside.content)
        counts.append(inside.counts)
    return _join(positions, counts)


def nearest(candidates: Directions, objects: Directions, radius: float) -> Jagged:
    """Associate the nearest object closer than `radius` in (eta, phi); the first one of a tie."""
    positions, counts = [], []
    for pairs, position, distance in _pairs(candidates, objects):
        owner = owners(pairs)
        order = np.flatnonzero(distance < radius)
        order = order[np.lexsort((distance[order], owner[order]))]
        _, first = np.unique(owner[order], return_index=True)
        best = order[first]
        positions.append(position[best])
        counts.append(np.bincount(owner[best], minlength=len(pairs) - 1))
    return _join(positions, counts)


def _pairs(
    candidates: Directions, objects: Directions
) -> Iterator[tuple[NDArray[np.int64], Positions, Array]]:
    """Pair candidates with all objects of their event, some candidates at a time.

    Yields:
        offsets of the pairs (candidate + 1); each pair's object, as a position among all objects
        (pair,); and its distance in (eta, phi), (pair,).
    """
    events = owners(candidates.offsets)
    ends = np.cumsum(np.diff(objects.offsets)[events])
    start = 0
    while start < len(events):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PAIRS, side="right")))
        position, pairs = take_index(objects.offsets, events[start:stop])
        candidate = start + owners(pairs)
        eta = objects.eta[position].astype(np.float64) - candidates.eta[candidate]
        phi = delta_phi(objects.phi[position].astype(np.float64), candidates.phi[candidate])
        yield pairs, position, delta_r(eta, phi)
        start = stop


def _keep(jagged: Jagged, chosen: NDArray[np.bool_]) -> Jagged:
    before = np.concatenate([[0], np.cumsum(chosen)]).astype(np.int64)
    return Jagged(jagged.content[chosen], before[jagged.offsets])


def _join(positions: list[Positions], counts: list[NDArray[np.int64]]) -> Jagged:
    empty = np.zeros(0, dtype=np.int64)
    ends = np.cumsum(np.concatenate([empty, *counts]))
    return Jagged(np.concatenate([empty, *positions]), np.concatenate([[0], ends]).astype(np.int64))
