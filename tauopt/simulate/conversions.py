"""Photon conversions to electron pairs in the tracker's material."""

from __future__ import annotations

import numpy as np

from tauopt.simulate.columns import Array
from tauopt.simulate.particles import Particles

RADII_MM = np.array([24.0, 33.0, 50.5, 88.5, 122.5, 299.0, 371.0, 443.0, 514.0])
"""Radii of the beam pipe, four pixel layers and four strip layers."""
THICKNESS_X0 = np.array([0.006, 0.019, 0.026, 0.026, 0.026, 0.035, 0.035, 0.035, 0.035])
"""Thickness of each at normal incidence in radiation lengths, services included."""


def convert_photons(particles: Particles, *, rng: np.random.Generator) -> Particles:
    """Convert photons above 1 GeV at random; replace them by an electron and a positron each.

    The conversion probability in a layer of t radiation lengths is 1 - exp(-7 t / 9). The energy
    fraction of the electron is uniform between 5 and 95 %.

    Args:
        particles: final-state particles.
        rng: source of randomness.
    Returns:
        the other particles in their order, then all electrons, then all positrons.
    """
    eta = particles.eta
    radius = np.hypot(particles.vx, particles.vy)
    photon = (particles.pdg == 22) & (particles.e > 1.0) & (np.abs(eta) < 2.7)
    rows = np.flatnonzero(photon)
    layer = _draw_layer(eta[rows], radius[rows], rng=rng)
    rows, layer = rows[layer >= 0], layer[layer >= 0]
    fraction = rng.uniform(0.05, 0.95, size=len(rows))
    kept = np.ones(len(particles), dtype=bool)
    kept[rows] = False
    photons = particles.take(rows)
    electrons = _lepton(photons, 11, fraction, RADII_MM[layer])
    positrons = _lepton(photons, -11, 1 - fraction, RADII_MM[layer])
    return Particles.join([particles.take(kept), electrons, positrons])


def _draw_layer(eta: Array, radius: Array, *, rng: np.random.Generator) -> Array:
    """Draw the layer in which each photon converts, -1 for none; `radius`: of production, mm."""
    path_x0 = THICKNESS_X0 * np.minimum(np.cosh(eta), 4.0)[:, None]
    converts = rng.random(path_x0.shape) < -np.expm1(-7 / 9 * path_x0)
    converts &= radius[:, None] < RADII_MM
    return np.where(converts.any(axis=1), converts.argmax(axis=1), -1)


def _lepton(photon: Particles, pdg: int, fraction: Array, radius: Array) -> Particles:
    """Return the lepton with a fraction of the photon's momentum; `radius`: of conversion, mm."""
    # The photon flies straight from its own vertex; that vertex is within a few mm of the beam
    # for all but decays of long-lived particles.
    path = radius - np.hypot(photon.vx, photon.vy)
    pt = np.maximum(photon.pt, 1e-9)
    return Particles(
        photon.event,
        np.full(len(photon), pdg),
        photon.px * fraction,
        photon.py * fraction,
        photon.pz * fraction,
        photon.e * fraction,
        photon.vx + path * photon.px / pt,
        photon.vy + path * photon.py / pt,
        photon.vz + path * photon.pz / pt,
    )
