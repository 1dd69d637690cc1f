from __future__ import annotations

import numpy as np
import pytest

from tauopt.config.settings.networks import ParticleNet, Tower
from tauopt.models.build_model import build_model, describe
from tauopt.models.neighbour_layers import MeanOfReal, NearestNeighbours, WithNeighbours
from tauopt.models.particlenet import neighbour_counts
from tests.models.specs import OBJECTS, spec_for, spec_of

RNG = np.random.default_rng(0)


def slow_neighbours(x, real, count):
    """Return the nearest other real objects of each object of one candidate, nearest first."""
    neighbours = []
    for i in range(len(x)):
        others = [j for j in range(len(x)) if real[i] and real[j] and j != i]
        neighbours.append(sorted(others, key=lambda j: ((x[i] - x[j]) ** 2).sum())[:count])
    return neighbours


@pytest.mark.parametrize("count", [1, 3, 6, 20])
def test_nearest_neighbours_agree_with_a_slow_reference(count):
    x = RNG.normal(size=(20, 7, 2)).astype(np.float32)
    real = np.arange(7) < RNG.integers(0, 8, 20)[:, None]
    x[~real] = 0.01  # as near as can be
    rows, is_neighbour = (np.asarray(part) for part in NearestNeighbours(count)(x, real))
    rows, is_neighbour = rows.reshape(20, 7, -1), is_neighbour.reshape(20, 7, -1)
    for n in range(20):
        for i, expected in enumerate(slow_neighbours(x[n], real[n], count)):
            assert list(rows[n, i][is_neighbour[n, i]] - 7 * n) == expected


def test_one_slot_has_no_neighbour():
    _, is_neighbour = NearestNeighbours(3)(np.zeros((2, 1, 2), np.float32), np.ones((2, 1), bool))
    assert not np.asarray(is_neighbour).any()


def test_edges_and_means_agree_with_a_slow_reference():
    centre, neighbour = RNG.normal(size=(2, 6, 3)).astype(np.float32)
    rows = RNG.integers(0, 6, 12).astype(np.int32)
    real = RNG.random(12) < 0.6
    real[:2] = False
    edges = np.asarray(WithNeighbours(2)(centre, neighbour, rows))
    mean = np.asarray(MeanOfReal(2)(edges, real))
    for i in range(6):
        expected = [centre[i] + neighbour[rows[e]] for e in (2 * i, 2 * i + 1) if real[e]] or [
            np.zeros(3)
        ]
        np.testing.assert_allclose(mean[i], np.mean(expected, axis=0), rtol=1e-5, atol=1e-6)


def test_settings_reach_the_published_network():
    """The first layer of an edge has two kernels; normalisation has 4 numbers a unit, plus 1."""
    network = ParticleNet(
        type="particlenet", neighbours=16, last_neighbours=8, edge_layers=3,
        channels=Tower(widths=(160, 128, 96)), merge=Tower(layers=1, units=256),
        coordinates={"eta": "f1", "phi": "f2"},
    )  # fmt: skip
    features = {"tracks": 9, "clusters": 7, "neutral_pfos": 12, "conversions": 4}
    total = sum(count * 32 for count in features.values()) + 4 * (4 * 32 + 1)
    for before, units in ((32, 160), (160, 128), (128, 96)):
        total += 3 * before * units + 2 * units**2 + 4 * (4 * units + 1)
    for before, units in ((11, 60), (60, 30), (30, 15), (96 + 15, 256)):
        total += before * units + 4 * units + 1
    total += 257
    spec = spec_of(network, candidate=11, groups=features)
    assert describe(spec, network).parameters == total == 256_791


def test_neighbours_are_evenly_spaced_over_the_blocks():
    published = {"neighbours": 16, "last_neighbours": 8}
    for layers, expected in ((3, [16, 12, 8]), (2, [16, 8]), (1, [16]), (0, [])):
        network = ParticleNet(type="particlenet", channels=Tower(layers=layers), **published)
        assert neighbour_counts(network) == expected


def test_coordinates_must_be_features_that_are_not_dropped():
    network = ParticleNet(type="particlenet", groups=OBJECTS)
    with pytest.raises(ValueError, match="expected tracks to have a feature d_eta"):
        build_model(spec_for(network), network, seed=1)
    names = {"eta": "f0", "phi": "f1"}
    network = ParticleNet(type="particlenet", groups=OBJECTS, drop="clusters.f0", coordinates=names)
    with pytest.raises(ValueError, match="expected clusters to have a feature f0"):
        build_model(spec_for(network), network, seed=1)
