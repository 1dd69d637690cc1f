"""Which objects of an event belong to which of its candidates, on flat content and offsets.

Objects and candidates of many events lie one after the other; `offsets` say where each event's
begin. A result is a `Jagged` over candidates whose content are positions among all objects.
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
"""Pairs of candidate and object held at once; bounds the memory of cones."""


class Directions(NamedTuple):
    """Where candidates or objects of many events are; NaN is nowhere."""

    eta: Array
    phi: Array
    offsets: NDArray[np.int64]
    """(event + 1)."""


def owners(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the list that each object is in, (object,)."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))


def by_index(
    index: Jagged, events: NDArray[np.int64], offsets: NDArray[np.int64], *, name: str
) -> Jagged:
    """Find objects by their position in the event's collection.

    Args:
        index: positions in the event, of each candidate; negative is none.
        events: number of the event of each candidate, (candidate,).
        offsets: of the collection, (event + 1).
        name: of the index, for messages.
    Returns:
        Positions among all objects, of each candidate; those without are left out.
    Raises:
        DataError: an index is beyond its event's collection, or is not whole.
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
    """Find objects by xAOD ElementLinks.

    Args:
        keys: `m_persKey` of each link; 0 is a null link, whatever its index.
        index: `m_persIndex` of each link.
        events: number of the event of each candidate, (candidate,).
        offsets: of the collection, (event + 1).
        key: of the links that lead into this collection.
    Returns:
        Positions among all objects, of each candidate. Left out are links with another key, and
        those to objects that a skim took away, as `ElementLink::isValid` has it.
    """
    local = index.content.astype(np.int64)
    event = np.repeat(events, index.counts)
    valid = (keys.content == key) & (local < np.diff(offsets)[event])
    return _keep(Jagged(local + offsets[event], index.offsets), valid)


def follow(first: Jagged, second: Jagged) -> Jagged:
    """Join two steps: `second` holds, for each object that `first` leads to, where it leads."""
    index, inner = take_index(second.offsets, first.content)
    return Jagged(second.content[index], inner[first.offsets])


def in_cone(candidates: Directions, objects: Directions, radius: float) -> Jagged:
    """Find all objects closer than `radius` in (eta, phi), in the order of the collection."""
    found, counts = [], []
    for pairs, position, distance in _pairs(candidates, objects):
        inside = distance < radius
        kept = _keep(Jagged(position, pairs), inside)
        found.append(kept.content)
        counts.append(kept.counts)
    return _join(found, counts)


def nearest(candidates: Directions, objects: Directions, radius: float) -> Jagged:
    """Find the nearest object closer than `radius` in (eta, phi); the first of equal ones."""
    found, counts = [], []
    for pairs, position, distance in _pairs(candidates, objects):
        owner = owners(pairs)
        order = np.flatnonzero(distance < radius)
        order = order[np.lexsort((distance[order], owner[order]))]
        _, first = np.unique(owner[order], return_index=True)
        best = order[first]
        found.append(position[best])
        counts.append(np.bincount(owner[best], minlength=len(pairs) - 1))
    return _join(found, counts)


def _pairs(
    candidates: Directions, objects: Directions
) -> Iterator[tuple[NDArray[np.int64], Positions, Array]]:
    """Pair candidates with all objects of their event, some candidates at a time.

    Yields:
        offsets of the pairs (candidate + 1); position of each pair's object; its distance.
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


def _join(found: list[Positions], counts: list[NDArray[np.int64]]) -> Jagged:
    none = np.zeros(0, dtype=np.int64)
    ends = np.cumsum(np.concatenate([none, *counts]))
    return Jagged(np.concatenate([none, *found]), np.concatenate([[0], ends]).astype(np.int64))
