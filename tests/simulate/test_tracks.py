import numpy as np
import pytest

from tauopt.simulate.particles import Particles
from tauopt.simulate.tracks import MM_PER_GEV, efficiency, hits, make_tracks, perigee


def _pions(n, rng, *, radius_mm=0.0, pt=5.0):
    phi, eta = rng.uniform(-np.pi, np.pi, n), rng.uniform(-2, 2, n)
    angle = rng.uniform(-np.pi, np.pi, n)
    return Particles(
        np.arange(n), rng.choice([-211, 211], n),
        pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta),
        radius_mm * np.cos(angle), radius_mm * np.sin(angle), rng.normal(0, 5, n),
    )  # fmt: skip


def _slow_perigee(particle, charge):
    """Walk along the helix in both directions and keep the point closest to the z axis."""
    turn = charge * np.hypot(particle.px, particle.py) * MM_PER_GEV
    phi = np.arctan2(particle.py, particle.px)
    path = np.linspace(-400, 400, 400_001)
    x = particle.vx + turn * (np.sin(phi) - np.sin(phi - path / turn))
    y = particle.vy - turn * (np.cos(phi) - np.cos(phi - path / turn))
    z = particle.vz + path * particle.pz / np.hypot(particle.px, particle.py)
    i = np.argmin(np.hypot(x, y))
    return np.hypot(x[i], y[i]), z[i]


def test_the_perigee_is_the_closest_point_of_a_walk_along_the_helix():
    particles = _pions(20, np.random.default_rng(2), radius_mm=40.0, pt=1.0)
    d0, z0_sin_theta, _ = perigee(particles, particles.charge)
    theta = 2 * np.arctan(np.exp(-particles.eta))
    for i in range(20):
        particle = particles.take(slice(i, i + 1))
        distance, z = _slow_perigee(particle, particle.charge)
        assert abs(d0[i]) == pytest.approx(distance, abs=2e-3)
        assert z0_sin_theta[i] == pytest.approx(z * np.sin(theta[i]), abs=2e-2)


def test_d0_tends_to_the_straight_line():
    particles = _pions(50, np.random.default_rng(3), radius_mm=1.0, pt=500.0)
    d0, _, _ = perigee(particles, particles.charge)
    line = particles.vy * np.cos(particles.phi) - particles.vx * np.sin(particles.phi)
    np.testing.assert_allclose(d0, line, atol=1e-5)


def test_prompt_tracks_have_the_stated_resolution():
    tracks = make_tracks(_pions(4000, np.random.default_rng(4)), rng=np.random.default_rng(5))
    pull = tracks.d0 / tracks.sigma_d0
    assert np.median(np.abs(pull)) == pytest.approx(0.6745, rel=0.1)
    assert np.median(np.abs(tracks.z0)) > 1.0  # production vertices were spread by 5 mm


def test_tracks_born_outside_a_layer_leave_no_hit_there():
    rng = np.random.default_rng(6)
    innermost, pixel, strip = hits(np.full(500, 60.0), rng=rng)
    assert innermost.max() == 0
    assert pixel.max() <= 4
    assert strip.mean() == pytest.approx(8 * 0.98 * 1.04, rel=0.03)


def test_efficiency_falls_with_radius_and_pseudorapidity():
    eta, radius = np.array([0.0, 2.4]), np.array([0.0, 0.0])
    central, forward = efficiency(eta, radius, np.array([5.0, 5.0]))
    assert central > forward > 0.8
    radius = np.array([0.0, 100.0, 250.0])
    assert np.all(np.diff(efficiency(np.zeros(3), radius, np.full(3, 5.0))) < 0)


def test_neutral_and_soft_particles_leave_no_track():
    rng = np.random.default_rng(7)
    pions = _pions(100, rng)
    neutral = Particles(**{**vars(pions), "pdg": np.full(100, 22)})
    assert len(make_tracks(neutral, rng=rng)) == 0
    assert len(make_tracks(_pions(100, rng, pt=0.2), rng=rng)) == 0
