"""Photons that turn into electron pairs in the tracker's material."""

from __future__ import annotations

import numpy as np

from tauopt.simulate.columns import Array
from tauopt.simulate.particles import Particles

RADII_MM = np.array([24.0, 33.0, 50.5, 88.5, 122.5, 299.0, 371.0, 443.0, 514.0])
"""Beam pipe, four pixel layers, four strip layers."""
THICKNESS_X0 = np.array([0.006, 0.019, 0.026, 0.026, 0.026, 0.035, 0.035, 0.035, 0.035])
"""Radiation lengths of each at normal incidence, services included."""


def convert_photons(particles: Particles, *, rng: np.random.Generator) -> Particles:
    """Replace photons above 1 GeV that convert by their electron and positron, put at the end.

    The chance in a layer of t radiation lengths is 1 - exp(-7 t / 9); the electron takes a share
    of the energy that is flat between 5 and 95 %.
    """
    eta = particles.eta
    radius = np.hypot(particles.vx, particles.vy)
    photon = (particles.pdg == 22) & (particles.e > 1.0) & (np.abs(eta) < 2.7)
    rows = np.flatnonzero(photon)
    layer = _layer(eta[rows], radius[rows], rng=rng)
    rows, layer = rows[layer >= 0], layer[layer >= 0]
    share = rng.uniform(0.05, 0.95, size=len(rows))
    kept = np.ones(len(particles), dtype=bool)
    kept[rows] = False
    legs = [
        _leg(particles.take(rows), 11, share, RADII_MM[layer]),
        _leg(particles.take(rows), -11, 1 - share, RADII_MM[layer]),
    ]
    return Particles.join([particles.take(kept), *legs])


def _layer(eta: Array, radius: Array, *, rng: np.random.Generator) -> Array:
    """Draw the layer in which each photon converts, -1 for none."""
    path = THICKNESS_X0 * np.minimum(np.cosh(eta), 4.0)[:, None]
    converts = rng.random(path.shape) < -np.expm1(-7 / 9 * path)
    converts &= radius[:, None] < RADII_MM
    return np.where(converts.any(axis=1), converts.argmax(axis=1), -1)


def _leg(photon: Particles, pdg: int, share: Array, radius: Array) -> Particles:
    # The photon flies straight from its own vertex; that vertex is within a few mm of the beam
    # for all but decays of long-lived particles.
    path = radius - np.hypot(photon.vx, photon.vy)
    pt = np.maximum(photon.pt, 1e-9)
    return Particles(
        photon.event,
        np.full(len(photon), pdg),
        photon.px * share,
        photon.py * share,
        photon.pz * share,
        photon.e * share,
        photon.vx + path * photon.px / pt,
        photon.vy + path * photon.py / pt,
        photon.vz + path * photon.pz / pt,
    )
