"""Parametrised tracking: helix parameters at the beam line, efficiency, resolution, hits.

The field is 2 T along z. Resolutions and efficiencies are those of the ATLAS inner detector in
Run 2 in round numbers (arXiv:1704.07983, ATL-PHYS-PUB-2015-051).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tauopt.physics.kinematics import wrap_phi
from tauopt.simulate.columns import Array, Table
from tauopt.simulate.particles import Particles

MM_PER_GEV = 1000.0 / (0.3 * 2.0)
"""Radius of curvature in mm of a unit charge of 1 GeV transverse momentum."""
PIXEL_RADII_MM = np.array([33.0, 50.5, 88.5, 122.5])
STRIP_RADII_MM = np.array([299.0, 371.0, 443.0, 514.0])
"""Radii of the double-sided strip layers."""
MAX_ETA = 2.5
MIN_PT_GEV = 0.5


@dataclass(frozen=True)
class Tracks(Table):
    """Tracks: momentum in GeV, impact parameters in mm with their errors, hits."""

    event: Array
    pt: Array
    eta: Array
    phi: Array
    charge: Array
    d0: Array
    z0: Array
    """Longitudinal impact parameter times sin(theta), to the primary vertex."""
    sigma_d0: Array
    innermost: Array
    """Hits in the innermost pixel layer."""
    pixel: Array
    strip: Array
    conversion: Array
    """True where the track was recognised as part of a photon conversion."""


def make_tracks(particles: Particles, *, rng: np.random.Generator) -> Tracks:
    """Simulate the tracks of charged particles: efficiency, resolution and hits.

    Args:
        particles: final-state particles, after photon conversion.
        rng: source of randomness.
    Returns:
        tracks ordered by event.
    """
    charge = particles.charge
    inside = (
        (charge != 0)
        & (particles.pt > 0.9 * MIN_PT_GEV)
        & (np.abs(particles.eta) < MAX_ETA)
        & (np.hypot(particles.vx, particles.vy) < STRIP_RADII_MM[0])
    )
    particles, charge = particles.take(inside), charge[inside]
    radius = np.hypot(particles.vx, particles.vy)
    is_found = rng.random(len(radius)) < efficiency(particles.eta, radius, particles.pt)
    order = np.flatnonzero(is_found)
    order = order[np.argsort(particles.event[order], kind="stable")]
    particles, charge, radius = particles.take(order), charge[order], radius[order]
    d0, z0_sin_theta, phi = perigee(particles, charge)
    is_electron = np.abs(particles.pdg) == 11
    # Probability to be recognised as part of a conversion; 1 % of other tracks are mistaken.
    p_conversion = np.where(is_electron & (radius > 20.0), 0.75, 0.01)
    return measure(
        Tracks(
            particles.event, particles.pt, particles.eta, phi, charge, d0, z0_sin_theta,
            np.zeros_like(d0), *hits(radius, rng=rng),
            conversion=rng.random(len(d0)) < p_conversion,
        ),
        rng=rng,
    )  # fmt: skip


def efficiency(eta: Array, radius: Array, pt: Array) -> Array:
    """Return the tracking efficiency.

    Hadronic interactions cost 6 to 14 %. The efficiency falls with the radius of production, since
    fewer layers remain, and with pT below 1 GeV.

    Args:
        eta: pseudorapidity, (track,).
        radius: radius of production in mm, (track,).
        pt: transverse momentum in GeV, (track,).
    """
    central = 0.94 - 0.08 * np.clip(np.abs(eta) / 2.5, 0, 1) ** 2
    displaced = np.interp(radius, [0.0, 25.0, 122.0, 299.0], [1.0, 0.95, 0.6, 0.25])
    return central * displaced * np.clip(0.7 + 0.3 * pt, 0, 1)


def perigee(particles: Particles, charge: Array) -> tuple[Array, Array, Array]:
    """Return d0 and z0 sin(theta) in mm and phi in radians at the closest approach to the z axis.

    A positive charge turns clockwise. The sign of d0 is that of the straight-line limit
    y cos(phi) - x sin(phi).

    Args:
        particles: momenta and production vertices.
        charge: electric charge, not 0, (particle,).
    """
    phi, sign = particles.phi, np.sign(charge)
    signed_radius = charge * particles.pt * MM_PER_GEV
    centre_x = particles.vx + signed_radius * np.sin(phi)
    centre_y = particles.vy - signed_radius * np.cos(phi)
    d0 = sign * (np.abs(signed_radius) - np.hypot(centre_x, centre_y))
    phi_0 = np.arctan2(sign * centre_x, -sign * centre_y)
    path = signed_radius * wrap_phi(phi_0 - phi)
    sinh_eta = particles.pz / particles.pt
    z0 = particles.vz - path * sinh_eta
    return d0, z0 / np.hypot(1.0, sinh_eta), phi_0


def hits(radius: Array, *, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Draw the numbers of hits in the innermost pixel layer, all pixel layers and the strips.

    A layer inside the radius of production has no hit. In the pixel detector 2.5 % of the modules
    are dead and one hit in ten lies in overlapping modules; in the strips 2 % and 4 %.

    Args:
        radius: radius of production in mm, (track,).
        rng: source of randomness.
    """
    n = len(radius)
    pixel = _layer_hits(radius, PIXEL_RADII_MM, efficiency=0.975, overlap=0.1, rng=rng)
    both_sides = np.tile(radius, 2)
    strip = _layer_hits(both_sides, STRIP_RADII_MM, efficiency=0.98, overlap=0.04, rng=rng)
    n_strip = strip[:n].sum(axis=1) + strip[n:].sum(axis=1)
    return pixel[:, 0], pixel.sum(axis=1), n_strip


def _layer_hits(
    radius: Array, layers: Array, *, efficiency: float, overlap: float, rng: np.random.Generator
) -> Array:
    """Draw the number of hits in each layer, (track, layer): 2 where modules overlap."""
    shape = (len(radius), len(layers))
    hit = (rng.random(shape) < efficiency) & (radius[:, None] < layers)
    return hit * (1 + (rng.random(shape) < overlap))


def measure(true: Tracks, *, rng: np.random.Generator) -> Tracks:
    """Smear true track parameters; resolutions are wider without a hit in the innermost layer."""
    n = len(true)
    pt_sin = true.pt / np.sqrt(np.cosh(true.eta))  # multiple scattering: pT sqrt(sin(theta))
    widening = np.where(true.innermost > 0, 1.0, 2.5)
    sigma_d0 = widening * np.hypot(0.012, 0.075 / pt_sin)
    sigma_z0 = widening * np.hypot(0.060, 0.130 / pt_sin)
    sigma_pt = np.hypot(0.013, 0.0004 * true.pt)
    tail = np.where(rng.random(n) < 0.04, 3.0, 1.0)  # not part of the recorded error
    return Tracks(
        **{
            **vars(true),
            "pt": true.pt * np.clip(1 + sigma_pt * rng.standard_normal(n), 0.5, 2.0),
            "eta": true.eta + 0.0008 * rng.standard_normal(n),
            "phi": wrap_phi(true.phi + 0.0008 * rng.standard_normal(n)),
            "d0": true.d0 + sigma_d0 * tail * rng.standard_normal(n),
            "z0": true.z0 + sigma_z0 * tail * rng.standard_normal(n),
            "sigma_d0": sigma_d0,
        }
    )
