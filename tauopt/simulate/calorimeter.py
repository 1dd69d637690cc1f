"""Parametrised showers in the calorimeter: energy, direction, depth and width of each part.

A hadron shower has one part in the electromagnetic and one in the hadronic calorimeter. Energies
are at the hadronic scale (local calibration), depths in mm from the calorimeter's face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tauopt.physics.kinematics import wrap_phi
from tauopt.simulate.columns import Array, Table
from tauopt.simulate.particles import Particles

FACE_MM = 1500.0
"""Distance of the calorimeter from the beam."""
EM_CELL, HADRON_CELL = 0.025, 0.1
"""Side of a cell in eta and phi, electromagnetic and hadronic."""
MAX_ETA = 3.2
"""Largest |eta| of the calorimeter."""
BEND_GEV = 0.345
"""0.3 x 2 T x 1.15 m / 2: a track of transverse momentum p turns by asin(BEND / p)."""


@dataclass(frozen=True)
class Deposits(Table):
    """Shower parts: event, direction, energy in GeV, and moments in mm and mm^2."""

    event: Array
    eta: Array
    phi: Array
    energy: Array
    em: Array
    """True in the electromagnetic calorimeter."""
    photon: Array
    """True if the shower is that of a photon or an electron."""
    depth: Array
    """Depth of the shower's centre, mm."""
    depth2: Array
    """Longitudinal variance of the shower, mm^2."""
    width2: Array
    """Lateral variance of the shower, mm^2."""

    @property
    def et(self) -> Array:
        """Transverse energy in GeV."""
        return self.energy / np.cosh(self.eta)


@dataclass(frozen=True)
class Incoming(Table):
    """Particles at the calorimeter's face: event, direction there, energy in GeV."""

    event: Array
    eta: Array
    phi: Array
    energy: Array


def make_deposits(particles: Particles, *, rng: np.random.Generator) -> Deposits:
    """Simulate the showers of visible particles.

    Args:
        particles: final-state particles.
        rng: source of randomness.
    Returns:
        shower parts ordered by event, without those of particles above |eta| = 3.2 or that curl
        up in the field before the calorimeter.
    """
    charge = particles.charge
    sin_bend = np.where(charge == 0, 0.0, BEND_GEV / np.maximum(particles.pt, 1e-6))
    reaches = particles.visible & (np.abs(particles.eta) < MAX_ETA) & (sin_bend < 1)
    particles, sin_bend, charge = particles.take(reaches), sin_bend[reaches], charge[reaches]
    phi = particles.phi - charge * np.arcsin(sin_bend)
    code = np.abs(particles.pdg)
    electromagnetic = (code == 22) | (code == 11)
    muon = code == 13
    incoming = Incoming(particles.event, particles.eta, phi, particles.e)
    parts = Deposits.join(
        [
            photon_showers(incoming.take(electromagnetic), rng=rng),
            hadron_showers(incoming.take(~electromagnetic & ~muon), rng=rng),
            muon_traces(incoming.take(muon), rng=rng),
        ]
    )
    return parts.take(np.argsort(parts.event, kind="stable"))


def photon_showers(incoming: Incoming, *, rng: np.random.Generator) -> Deposits:
    """Simulate showers of photons and electrons.

    The energy resolution is 10 % / sqrt(E) + 1 %, the shower maximum at ln(E / 15 MeV) X0.
    """
    n, energy = len(incoming), incoming.energy
    sigma = np.hypot(0.10 / np.sqrt(np.maximum(energy, 0.05)), 0.01)
    depth = 20.0 * np.log(np.maximum(energy, 0.1) / 0.015) * rng.lognormal(0, 0.12, n)
    return Deposits(
        incoming.event,
        *_smear_direction(incoming, 0.004, EM_CELL / 5, rng=rng),
        energy=energy * np.clip(1 + sigma * rng.standard_normal(n), 0.05, 3.0),
        em=np.ones(n, dtype=bool),
        photon=np.ones(n, dtype=bool),
        depth=depth,
        depth2=45.0**2 * rng.lognormal(0, 0.3, n),
        width2=28.0**2 * rng.lognormal(0, 0.3, n),
    )


def hadron_showers(incoming: Incoming, *, rng: np.random.Generator) -> Deposits:
    """Simulate showers of hadrons.

    The energy resolution is 55 % / sqrt(E) + 6 %; 7 of 10 showers begin in the electromagnetic
    part.
    """
    n, energy = len(incoming), incoming.energy
    sigma = np.hypot(0.55 / np.sqrt(np.maximum(energy, 0.3)), 0.06)
    measured = energy * np.clip(1 + sigma * rng.standard_normal(n), 0.1, 3.0)
    early = rng.random(n) < 0.7
    # The fraction in the electromagnetic part falls with energy; below 2 GeV most showers end
    # there. Showers that begin later leave the energy of a minimum-ionising particle there.
    mean = np.clip(0.75 - 0.22 * np.log10(np.maximum(energy, 0.3)), 0.3, 0.85)
    em_fraction = rng.beta(3.0 * mean, 3.0 * (1 - mean))
    em_fraction = np.where(early, em_fraction, np.minimum(0.35 / np.maximum(measured, 0.35), 1.0))
    front = Deposits(
        incoming.event,
        *_smear_direction(incoming, 0.012, EM_CELL, rng=rng),
        energy=measured * em_fraction,
        em=np.ones(n, dtype=bool),
        photon=np.zeros(n, dtype=bool),
        depth=np.where(early, rng.uniform(80, 430, n), rng.uniform(150, 350, n)),
        depth2=110.0**2 * rng.lognormal(0, 0.5, n),
        width2=55.0**2 * rng.lognormal(0, 0.5, n),
    )
    back = Deposits(
        incoming.event,
        *_smear_direction(incoming, 0.03, HADRON_CELL, rng=rng),
        energy=measured * (1 - em_fraction),
        em=np.zeros(n, dtype=bool),
        photon=np.zeros(n, dtype=bool),
        depth=550 + rng.exponential(280, n),
        depth2=200.0**2 * rng.lognormal(0, 0.5, n),
        width2=110.0**2 * rng.lognormal(0, 0.4, n),
    )
    return Deposits.join([front, back.take(back.energy > 0.1)])


def muon_traces(incoming: Incoming, *, rng: np.random.Generator) -> Deposits:
    """Simulate the energy loss of muons: about 2.5 GeV, all put into the hadronic part."""
    n, energy = len(incoming), incoming.energy
    return Deposits(
        incoming.event,
        *_smear_direction(incoming, 0.0, HADRON_CELL, rng=rng),
        energy=np.minimum(energy, 2.5 * rng.lognormal(0, 0.25, n)),
        em=np.zeros(n, dtype=bool),
        photon=np.zeros(n, dtype=bool),
        depth=np.full(n, 900.0),
        depth2=np.full(n, 400.0**2),
        width2=np.full(n, 60.0**2),
    )


def _smear_direction(
    incoming: Incoming, spread: float, cell: float, *, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Smear eta and phi by the width of the shower and by the size of the cells."""
    # A uniform distribution over a cell has the standard deviation cell / sqrt(12).
    n, sigma = len(incoming), np.hypot(spread, cell / np.sqrt(12))
    return (
        incoming.eta + sigma * rng.standard_normal(n),
        wrap_phi(incoming.phi + sigma * rng.standard_normal(n)),
    )
