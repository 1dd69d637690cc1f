"""Overlay pile-up and the underlying event around each candidate.

Pile-up grows with the mean number of interactions `mu` of the event: at mu = 35 about five soft
deposits and one soft track near the primary vertex in a cone of 0.4. The underlying event comes
from the primary vertex and does not depend on `mu`; it stands for initial-state radiation and
multi-parton interactions, which are not generated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tauopt.physics.kinematics import wrap_phi
from tauopt.simulate.calorimeter import Deposits, Incoming, hadron_showers, photon_showers
from tauopt.simulate.columns import Array, Table
from tauopt.simulate.tracks import Tracks, hits, measure

RADIUS = 0.6
"""Radius around the seed in which soft objects are drawn, beyond the isolation cone of 0.4."""
MAX_Z0_MM = 4.0
"""Tracks with larger |z0 sin(theta)| are not associated with a candidate."""
MIN_ET_GEV, EXTRA_ET_GEV = 0.3, 0.4
"""Transverse energy of a soft deposit: a minimum, plus an exponential variate of this mean."""
PILEUP_DEPOSITS, PILEUP_TRACKS = 5.0 / 35.0, 1.0 / 35.0
"""Mean numbers of deposits and tracks in a cone of 0.4, for each interaction."""


@dataclass(frozen=True)
class Underlying:
    """Underlying event: mean numbers of deposits and tracks in a cone of 0.4."""

    deposits: float
    tracks: float


UNDERLYING = {
    "gammatautau": Underlying(deposits=0.5, tracks=0.25),
    # Gluons radiate more than quarks, and the products are coloured.
    "dijet": Underlying(deposits=0.9, tracks=0.45),
}


def draw_mu(n_events: int, *, mean: float, rng: np.random.Generator) -> Array:
    """Draw the mean number of interactions of each event: a Gaussian of width 30 % about `mean`."""
    return np.abs(rng.normal(mean, 0.3 * mean, size=n_events))


@dataclass(frozen=True)
class Surroundings(Table):
    """Direction of each candidate's seed, and mean number of interactions of its event."""

    eta: Array
    phi: Array
    mu: Array


def soft_deposits(
    around: Surroundings, underlying: Underlying, *, rng: np.random.Generator
) -> Deposits:
    """Draw soft deposits around candidates.

    Args:
        around: directions and mu of the candidates.
        underlying: underlying event of the process.
        rng: source of randomness.
    Returns:
        shower parts with the candidate's number as `event`; two of three particles are photons.
    """
    mean = underlying.deposits + PILEUP_DEPOSITS * around.mu
    candidate, eta, phi = _draw_directions(around, mean, rng=rng)
    photon = rng.random(len(eta)) < 2 / 3
    energy = (MIN_ET_GEV + rng.exponential(EXTRA_ET_GEV, len(eta))) * np.cosh(eta)
    incoming = Incoming(candidate, eta, phi, energy)
    parts = [
        photon_showers(incoming.take(photon), rng=rng),
        hadron_showers(incoming.take(~photon), rng=rng),
    ]
    return Deposits.join(parts)


def soft_tracks(
    around: Surroundings, underlying: Underlying, *, rng: np.random.Generator
) -> Tracks:
    """Draw soft tracks around candidates, with the candidate's number as `event`.

    Transverse momenta follow pT^-3.5 above 0.5 GeV. Tracks from pile-up are uniform in z0 near the
    primary vertex.

    Args:
        around: directions and mu of the candidates.
        underlying: underlying event of the process.
        rng: source of randomness.
    """
    parts = []
    for mean, max_z0 in (
        (np.full(len(around), underlying.tracks), 0.0),
        (PILEUP_TRACKS * around.mu, MAX_Z0_MM),
    ):
        candidate, eta, phi = _draw_directions(around, mean, rng=rng)
        n = len(candidate)
        innermost, pixel, strip = hits(np.zeros(n), rng=rng)
        true = Tracks(
            event=candidate,
            pt=np.minimum(0.5 * (1 - rng.random(n)) ** (-1 / 2.5), 10.0),
            eta=eta,
            phi=phi,
            charge=rng.choice([-1, 1], size=n),
            d0=np.zeros(n),
            z0=rng.uniform(-max_z0, max_z0, n),
            sigma_d0=np.zeros(n),
            innermost=innermost,
            pixel=pixel,
            strip=strip,
            conversion=rng.random(n) < 0.01,
        )
        in_tracker = np.abs(eta) < 2.5
        parts.append(measure(true.take(in_tracker), rng=rng))
    return Tracks.join(parts)


def _draw_directions(
    around: Surroundings, mean: Array, *, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Draw a Poisson number of directions, uniform in a disc of `RADIUS` about each candidate.

    Args:
        around: directions of the candidates.
        mean: mean number in a cone of 0.4, (candidate,).
        rng: source of randomness.
    Returns:
        candidate, eta and phi, (object,) each.
    """
    counts = rng.poisson(mean * (RADIUS / 0.4) ** 2)
    candidate = np.repeat(np.arange(len(around)), counts)
    radius = RADIUS * np.sqrt(rng.random(len(candidate)))  # uniform in area
    angle = rng.uniform(0, 2 * np.pi, len(candidate))
    return (
        candidate,
        around.eta[candidate] + radius * np.cos(angle),
        wrap_phi(around.phi[candidate] + radius * np.sin(angle)),
    )
