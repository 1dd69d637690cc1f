"""Tau candidates: seeds, their surroundings, and all that the ntuple holds of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r
from tauopt.simulate.calorimeter import Deposits, make_deposits
from tauopt.simulate.candidate_variables import (
    CandidateDirection,
    calorimeter_variables,
    flow_variables,
    track_variables,
)
from tauopt.simulate.clusters import Clusters, NeutralPfos, make_clusters, make_neutral_pfos
from tauopt.simulate.columns import Array, pairs, total
from tauopt.simulate.conversions import convert_photons
from tauopt.simulate.jets import Jets, find_jets
from tauopt.simulate.particles import Particles
from tauopt.simulate.pileup import (
    EXTRA_ET_GEV,
    MAX_Z0_MM,
    MIN_ET_GEV,
    PILEUP_DEPOSITS,
    RADIUS,
    Surroundings,
    Underlying,
    soft_deposits,
    soft_tracks,
)
from tauopt.simulate.tracks import Tracks, make_tracks

MIN_SEED_PT_GEV, MIN_SEED_ET_GEV = 13.0, 0.6
"""Smallest transverse momentum of a seed jet, and of the deposits that it is made of."""
MAX_ETA = 2.5
NOISE_GEV = 0.8
"""Noise of the cells in a core cone at 35 interactions."""
MAX_D0_MM = 5.0
CORE, ISOLATION = 0.2, 0.4
"""Radii of the core cone and of the isolation annulus around it."""
MIN_TRACK_PT_GEV = 1.0
"""Of core and isolation tracks; the ntuple holds softer ones too."""
Objects = TypeVar("Objects", Tracks, Deposits)


@dataclass(frozen=True)
class TauCandidates:
    """Candidates of a batch: scalars by name, (candidate,), and objects by candidate.

    GeV, mm and radians; tracks, clusters and PFOs carry the candidate's number as `event` and
    are ordered by descending transverse momentum within it.
    """

    event: Array
    scalars: dict[str, Array]
    tracks: Tracks
    clusters: Clusters
    pfos: NeutralPfos


def reconstruct(
    particles: Particles,
    mu: Array,
    *,
    underlying: Underlying,
    max_core_tracks: int,
    rng: np.random.Generator,
) -> TauCandidates:
    """Take a batch of events through detector and reconstruction.

    Args:
        particles: visible final-state particles, ordered by event.
        mu: mean number of interactions of each event, (event,).
        underlying: soft activity of the process.
        max_core_tracks: seeds with clearly more core tracks are dropped early.
        rng: source of randomness.
    """
    particles = convert_photons(particles, rng=rng)
    hard_tracks = make_tracks(particles, rng=rng)
    hard_deposits = make_deposits(particles, rng=rng)
    loud = hard_deposits.take(hard_deposits.et > MIN_SEED_ET_GEV)
    seeds = find_jets(
        loud.et, loud.eta, loud.phi, loud.event,
        n_events=len(mu), radius=0.4, min_pt=MIN_SEED_PT_GEV,
    )  # fmt: skip
    seeds = seeds.take(np.abs(seeds.eta) < MAX_ETA)
    seeds = seeds.take(_few_tracks(seeds, hard_tracks, len(mu), max_core_tracks))
    around = Surroundings(seeds.eta, seeds.phi, mu[seeds.event])
    deposits = _around(seeds, hard_deposits, RADIUS, len(mu))
    deposits = _sorted(Deposits.join([deposits, soft_deposits(around, underlying, rng=rng)]))
    tracks = _around(seeds, hard_tracks, RADIUS, len(mu))
    tracks = Tracks.join([tracks, soft_tracks(around, underlying, rng=rng)])
    tracks = tracks.take((np.abs(tracks.d0) < MAX_D0_MM) & (np.abs(tracks.z0) < MAX_Z0_MM))
    return _describe(seeds, deposits, tracks.take(np.lexsort((-tracks.pt, tracks.event))),
                     around.mu, rng=rng)  # fmt: skip


def _few_tracks(seeds: Jets, tracks: Tracks, n_events: int, most: int) -> Array:
    core = tracks.take(is_good(tracks))
    near = _around(seeds, core, 0.15, n_events)
    few: Array = np.bincount(near.event, minlength=len(seeds)) <= most
    return few


def is_good(tracks: Tracks) -> Array:
    """Tell which tracks may be core or isolation tracks: prompt, enough hits, no conversion."""
    return (
        (np.abs(tracks.d0) < 1.0)
        & (np.abs(tracks.z0) < 1.5)
        & (tracks.pixel >= 2)
        & (tracks.pixel + tracks.strip >= 7)
        & ~tracks.conversion
    )


def _around(seeds: Jets, objects: Objects, radius: float, n_events: int) -> Objects:
    """Copy the objects near each seed, with the seed's number as their `event`."""
    seed, row = pairs(seeds.event, objects.event, n_events)
    near = (
        delta_r(seeds.eta[seed] - objects.eta[row], delta_phi(seeds.phi[seed], objects.phi[row]))
        < radius
    )
    copied = objects.take(row[near])
    return type(objects)(**{**vars(copied), "event": seed[near]})


def _sorted(objects: Objects) -> Objects:
    return objects.take(np.argsort(objects.event, kind="stable"))


def _describe(
    seeds: Jets, deposits: Deposits, tracks: Tracks, mu: Array, *, rng: np.random.Generator
) -> TauCandidates:
    n = len(seeds)
    clusters = make_clusters(deposits, n_candidates=n)
    seed_et, _, _ = _barycentre(clusters, seeds.eta, seeds.phi, ISOLATION)
    _, eta, phi = _barycentre(clusters, seeds.eta, seeds.phi, CORE)
    axis = CandidateDirection(eta, phi)
    noise = NOISE_GEV * np.sqrt(mu / 35.0)
    sums = calorimeter_variables(deposits, clusters, axis, noise_gev=noise, rng=rng)
    pt = np.maximum(sums["core_et"] - _soft_core_et(mu), 1e-3)
    distance = delta_r(tracks.eta - eta[tracks.event], delta_phi(tracks.phi, phi[tracks.event]))
    tracks, distance = tracks.take(distance < ISOLATION), distance[distance < ISOLATION]
    good = is_good(tracks) & (tracks.pt > MIN_TRACK_PT_GEV)
    core, isolation = tracks.take(good & (distance < CORE)), tracks.take(good & (distance >= CORE))
    pfos = make_neutral_pfos(clusters, core, n_candidates=n, rng=rng)
    inside = clusters.take(_near(clusters, eta, phi, ISOLATION))
    pfos = pfos.take(_near(pfos, eta, phi, ISOLATION))
    scalars = {
        "mu": mu,
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "ptJetSeed": seed_et,
        "n_tracks": np.bincount(core.event, minlength=n),
        "n_isolation_tracks": np.bincount(isolation.event, minlength=n),
        "charge": total(core.charge, core.event, n).astype(np.int64),
        "centFrac": sums["centFrac"],
        "ptIntermediateAxis": sums["core_et"],
        **track_variables(core, isolation, axis, sums=sums),
        **flow_variables(core, pfos, axis, pt=pt),
    }
    return TauCandidates(seeds.event, scalars, tracks, inside, pfos)


def _soft_core_et(mu: Array) -> Array:
    """Return the mean transverse energy that pile-up puts into a core."""
    deposits: Array = PILEUP_DEPOSITS * mu
    return (CORE / 0.4) ** 2 * deposits * (MIN_ET_GEV + EXTRA_ET_GEV)


def _near(objects: Clusters | NeutralPfos, eta: Array, phi: Array, radius: float) -> Array:
    d_phi = delta_phi(objects.phi, phi[objects.event])
    return delta_r(objects.eta - eta[objects.event], d_phi) < radius


def _barycentre(
    clusters: Clusters, eta: Array, phi: Array, radius: float
) -> tuple[Array, Array, Array]:
    """Sum ET around an axis and return it with the ET-weighted centre."""
    c = clusters.take(_near(clusters, eta, phi, radius))
    et = total(c.et, c.event, len(eta))
    safe = np.maximum(et, 1e-9)
    d_eta = total(c.et * (c.eta - eta[c.event]), c.event, len(eta)) / safe
    d_phi = total(c.et * delta_phi(c.phi, phi[c.event]), c.event, len(eta)) / safe
    return et, eta + d_eta, (phi + d_phi + np.pi) % (2 * np.pi) - np.pi
