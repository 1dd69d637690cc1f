"""Objects of candidates: every vectorised association against a loop over events."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.errors import DataError
from tauopt.ntuples import associate
from tauopt.ntuples.associate import (
    Directions,
    by_index,
    by_links,
    follow,
    in_cone,
    nearest,
    owners,
)
from tauopt.physics.jagged import Jagged

SEEDS = st.integers(0, 10_000)


def _offsets(counts):
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _collection(rng, events, most):
    """Return directions of the objects of some events, many of them where phi wraps."""
    offsets = _offsets(rng.integers(0, most + 1, events))
    eta = rng.uniform(-1, 1, offsets[-1])
    phi = np.where(
        rng.random(len(eta)) < 0.5, rng.uniform(-3.2, 3.2, len(eta)), 3.1 + 0.2 * rng.random()
    )
    eta[rng.random(len(eta)) < 0.05] = np.nan
    return Directions(eta.astype(np.float32), phi.astype(np.float32), offsets)


def _lists(jagged):
    ends = jagged.offsets.tolist()
    return [jagged.content[a:b].tolist() for a, b in pairwise(ends)]


def _slow_distance(candidates, i, objects, j):
    eta = float(objects.eta[j]) - float(candidates.eta[i])
    phi = abs(float(objects.phi[j]) - float(candidates.phi[i]))
    while phi > math.pi:
        phi = abs(phi - 2 * math.pi)
    return math.sqrt(eta * eta + phi * phi)


def _slow_cones(candidates, objects, radius):
    """Return (distance, position) of the objects in the cone of each candidate."""
    cones = []
    for event in range(len(candidates.offsets) - 1):
        for i in range(candidates.offsets[event], candidates.offsets[event + 1]):
            inside = []
            for j in range(objects.offsets[event], objects.offsets[event + 1]):
                distance = _slow_distance(candidates, i, objects, j)
                if distance < radius:
                    inside.append((distance, j))
            cones.append(inside)
    return cones


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, radius=st.sampled_from([0.1, 0.4, 2.0]), pairs=st.sampled_from([1, 7, 10**6]))
def test_cones_and_nearest_objects_agree_with_a_loop(seed, radius, pairs):
    rng = np.random.default_rng(seed)
    events = int(rng.integers(0, 12))
    candidates, objects = _collection(rng, events, 4), _collection(rng, events, 9)
    slow = _slow_cones(candidates, objects, radius)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(associate, "_PAIRS", pairs)
        assert _lists(in_cone(candidates, objects, radius)) == [
            [j for _, j in inside] for inside in slow
        ]
        assert _lists(nearest(candidates, objects, radius)) == [
            [min(inside)[1]] if inside else [] for inside in slow
        ]


def test_a_cone_reaches_over_the_end_of_phi():
    candidates = Directions(np.zeros(1), np.array([3.1]), _offsets([1]))
    objects = Directions(np.zeros(2), np.array([-3.1, 2.0]), _offsets([2]))
    assert _lists(in_cone(candidates, objects, 0.4)) == [[0]]


def test_of_equally_near_objects_the_first_is_taken():
    candidates = Directions(np.zeros(1), np.zeros(1), _offsets([1]))
    objects = Directions(np.array([0.2, 0.1, -0.1]), np.zeros(3), _offsets([3]))
    assert _lists(nearest(candidates, objects, 1.0)) == [[1]]


def _random_links(rng):
    """Return events, the size of their collections, and lists of local positions."""
    events = int(rng.integers(1, 10))
    candidate_offsets = _offsets(rng.integers(0, 4, events))
    offsets = _offsets(rng.integers(0, 5, events))
    event = owners(candidate_offsets)
    links = _offsets(rng.integers(0, 4, len(event)))
    size = np.diff(offsets)[np.repeat(event, np.diff(links))]
    return event, offsets, links, size


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_indices_agree_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    events, offsets, links, size = _random_links(rng)
    local = rng.integers(-1, np.maximum(size, 0)) if len(size) else np.zeros(0, np.int64)
    associated = by_index(Jagged(local.astype(np.int32), links), events, offsets, name="x")
    slow = [
        [int(offsets[event] + k) for k in local[links[i] : links[i + 1]] if k >= 0]
        for i, event in enumerate(events)
    ]
    assert _lists(associated) == slow


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_links_agree_with_a_loop_and_null_links_give_nothing(seed):
    rng = np.random.default_rng(seed)
    events, offsets, links, size = _random_links(rng)
    keys = rng.choice([0, 7, 8], len(size)).astype(np.uint32)
    local = rng.choice([0, 1, 2, 2**32 - 1], len(size)).astype(np.uint32)
    associated = by_links(Jagged(keys, links), Jagged(local, links), events, offsets, key=7)
    slow = []
    for i, event in enumerate(events):
        its_links = range(links[i], links[i + 1])
        held = offsets[event + 1] - offsets[event]
        slow.append(
            [
                int(offsets[event]) + int(local[k])
                for k in its_links
                if keys[k] == 7 and local[k] < held
            ]
        )
    assert _lists(associated) == slow


def test_a_null_link_whose_index_looks_like_0_is_no_link_to_the_first_object():
    keys, index = np.array([0, 5], np.uint32), np.array([0, 0], np.uint32)
    one_each = _offsets([1, 1])
    associated = by_links(
        Jagged(keys, one_each), Jagged(index, one_each), np.array([0, 0]), _offsets([3]), key=5
    )
    assert _lists(associated) == [[], [0]]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_two_steps_of_links_agree_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    between = int(rng.integers(1, 8))
    second = Jagged(np.zeros(0, np.int64), _offsets(rng.integers(0, 3, between)))
    second = Jagged(rng.integers(0, 20, second.offsets[-1]), second.offsets)
    ends = _offsets(rng.integers(0, 4, int(rng.integers(0, 6))))
    first = Jagged(rng.integers(0, between, ends[-1]), ends)
    targets = _lists(second)
    slow = [[end for step in steps for end in targets[step]] for steps in _lists(first)]
    assert _lists(follow(first, second)) == slow


def test_an_index_beyond_the_collection_is_refused_with_its_numbers():
    index = Jagged(np.array([0, 3]), _offsets([1, 1]))
    with pytest.raises(DataError, match=r"Tau_jetIdx: 1 of 2 point beyond .* instance 3 of 2"):
        by_index(index, np.array([0, 0]), _offsets([2]), name="Tau_jetIdx")


def test_an_index_that_is_not_whole_is_refused():
    index = Jagged(np.array([0.5]), _offsets([1]))
    with pytest.raises(DataError, match="float64, expected integers"):
        by_index(index, np.array([0]), _offsets([2]), name="Tau_jetIdx")
