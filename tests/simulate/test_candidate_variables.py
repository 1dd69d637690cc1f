import numpy as np

from tauopt.simulate.candidate_variables import flight_significance
from tauopt.simulate.tracks import Tracks


def _tracks(event, phi, d0, sigma):
    n = len(phi)
    zeros = np.zeros(n)
    return Tracks(
        event, np.full(n, 5.0), zeros, phi, np.ones(n), d0, zeros, np.full(n, sigma),
        zeros, zeros, zeros, np.zeros(n, bool),
    )  # fmt: skip


def test_a_displaced_vertex_is_found_along_the_flight():
    phi = np.array([0.95, 1.0, 1.08])
    x, y = 2.0 * np.cos(1.0), 2.0 * np.sin(1.0)
    d0 = y * np.cos(phi) - x * np.sin(phi)
    fine = flight_significance(_tracks(np.zeros(3, int), phi, d0, 0.02), np.array([1.0]))
    coarse = flight_significance(_tracks(np.zeros(3, int), phi, d0, 0.04), np.array([1.0]))
    behind = flight_significance(_tracks(np.zeros(3, int), phi, -d0, 0.02), np.array([1.0]))
    assert fine[0] > 3
    np.testing.assert_allclose([coarse[0], behind[0]], [fine[0] / 2, -fine[0]])


def test_the_flight_significance_of_prompt_tracks_has_unit_width():
    rng = np.random.default_rng(10)
    n, sigma = 4000, 0.03
    phi = np.tile([0.4, 0.5, 0.65], n)
    d0 = sigma * rng.standard_normal(3 * n)
    significance = flight_significance(
        _tracks(np.repeat(np.arange(n), 3), phi, d0, sigma), np.full(n, 0.5)
    )
    assert abs(significance.std() - 1) < 0.05
    assert abs(significance.mean()) < 0.06


def test_one_track_has_no_vertex():
    track = _tracks(np.array([1]), np.array([0.3]), np.array([0.5]), 0.02)
    assert flight_significance(track, np.zeros(3)).tolist() == [0, 0, 0]
