"""Reconstruct tau candidates: seed jets, the objects around them, and candidate variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r, wrap_phi
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
"""Smallest pT of a seed jet, and smallest ET of the deposits that it is made of."""
MAX_ETA = 2.5
"""Largest |eta| of a seed."""
NOISE_GEV = 0.8
"""Noise of the cells in a core cone at 35 interactions."""
MAX_D0_MM = 5.0
"""Largest |d0| of the tracks of a candidate."""
CORE, ISOLATION = 0.2, 0.4
"""Radius of the core cone, and outer radius of the isolation annulus around it."""
MIN_TRACK_PT_GEV = 1.0
"""Smallest pT of core and isolation tracks; the ntuple holds softer tracks too."""
TracksOrDeposits = TypeVar("TracksOrDeposits", Tracks, Deposits)


@dataclass(frozen=True)
class TauCandidates:
    """Candidates of a batch, in GeV, mm and radians.

    Tracks, clusters and PFOs have the candidate's number as `event`, and are ordered by candidate
    and descending transverse momentum.

    Attributes:
        event: event of each candidate, (candidate,).
        scalars: name -> values, (candidate,).
        tracks: tracks within the isolation cone.
        clusters: clusters within the isolation cone.
        pfos: neutral particle-flow objects within the isolation cone.
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
    """Simulate the detector and reconstruct the tau candidates of a batch of events.

    Args:
        particles: visible final-state particles, ordered by event.
        mu: mean number of interactions of each event, (event,).
        underlying: underlying event of the process.
        max_core_tracks: seeds with more good tracks within dR < 0.15 are dropped.
        rng: source of randomness.
    """
    n_events = len(mu)
    particles = convert_photons(particles, rng=rng)
    hard_tracks = make_tracks(particles, rng=rng)
    hard_deposits = make_deposits(particles, rng=rng)
    energetic = hard_deposits.take(hard_deposits.et > MIN_SEED_ET_GEV)
    seeds = find_jets(
        energetic.et, energetic.eta, energetic.phi, energetic.event,
        n_events=n_events, radius=0.4, min_pt=MIN_SEED_PT_GEV,
    )  # fmt: skip
    seeds = seeds.take(np.abs(seeds.eta) < MAX_ETA)
    good_tracks = _near_seeds(seeds, hard_tracks.take(is_good(hard_tracks)), 0.15, n_events)
    seeds = seeds.take(np.bincount(good_tracks.event, minlength=len(seeds)) <= max_core_tracks)
    around = Surroundings(seeds.eta, seeds.phi, mu[seeds.event])
    deposits = _near_seeds(seeds, hard_deposits, RADIUS, n_events)
    deposits = Deposits.join([deposits, soft_deposits(around, underlying, rng=rng)])
    deposits = deposits.take(np.argsort(deposits.event, kind="stable"))
    tracks = _near_seeds(seeds, hard_tracks, RADIUS, n_events)
    tracks = Tracks.join([tracks, soft_tracks(around, underlying, rng=rng)])
    tracks = tracks.take((np.abs(tracks.d0) < MAX_D0_MM) & (np.abs(tracks.z0) < MAX_Z0_MM))
    tracks = tracks.take(np.lexsort((-tracks.pt, tracks.event)))
    return _reconstruct_seeds(seeds, deposits, tracks, around.mu, rng=rng)


def is_good(tracks: Tracks) -> Array:
    """Select core and isolation tracks by quality: prompt, with enough hits, no conversion."""
    return (
        (np.abs(tracks.d0) < 1.0)
        & (np.abs(tracks.z0) < 1.5)
        & (tracks.pixel >= 2)
        & (tracks.pixel + tracks.strip >= 7)
        & ~tracks.conversion
    )


def _near_seeds(
    seeds: Jets, objects: TracksOrDeposits, radius: float, n_events: int
) -> TracksOrDeposits:
    """Copy the objects within `radius` of each seed, with the seed's number as their `event`."""
    seed, row = pairs(seeds.event, objects.event, n_events)
    d_phi = delta_phi(seeds.phi[seed], objects.phi[row])
    near = delta_r(seeds.eta[seed] - objects.eta[row], d_phi) < radius
    copies = objects.take(row[near])
    return type(objects)(**{**vars(copies), "event": seed[near]})


def _reconstruct_seeds(
    seeds: Jets, deposits: Deposits, tracks: Tracks, mu: Array, *, rng: np.random.Generator
) -> TauCandidates:
    """Reconstruct a candidate from the deposits and tracks around each seed.

    Args:
        seeds: seed jets; their numbers are the `event` of deposits and tracks.
        deposits: ordered by seed.
        tracks: ordered by seed and descending pT.
        mu: mean number of interactions, (seed,).
        rng: source of randomness.
    """
    n = len(seeds)
    clusters = make_clusters(deposits, n_candidates=n)
    seed_et, _, _ = _barycentre(clusters, seeds.eta, seeds.phi, ISOLATION)
    _, eta, phi = _barycentre(clusters, seeds.eta, seeds.phi, CORE)
    axis = CandidateDirection(eta, phi)
    noise = NOISE_GEV * np.sqrt(mu / 35.0)
    sums = calorimeter_variables(deposits, clusters, axis, noise_gev=noise, rng=rng)
    pileup_et = (CORE / 0.4) ** 2 * PILEUP_DEPOSITS * mu * (MIN_ET_GEV + EXTRA_ET_GEV)  # mean
    pt = np.maximum(sums["core_et"] - pileup_et, 1e-3)
    distance = delta_r(tracks.eta - eta[tracks.event], delta_phi(tracks.phi, phi[tracks.event]))
    tracks, distance = tracks.take(distance < ISOLATION), distance[distance < ISOLATION]
    good = is_good(tracks) & (tracks.pt > MIN_TRACK_PT_GEV)
    core, isolation = tracks.take(good & (distance < CORE)), tracks.take(good & (distance >= CORE))
    pfos = make_neutral_pfos(clusters, core, n_candidates=n, rng=rng)
    clusters = clusters.take(_is_near(clusters, eta, phi, ISOLATION))
    pfos = pfos.take(_is_near(pfos, eta, phi, ISOLATION))
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
    return TauCandidates(seeds.event, scalars, tracks, clusters, pfos)


def _is_near(objects: Clusters | NeutralPfos, eta: Array, phi: Array, radius: float) -> Array:
    d_phi = delta_phi(objects.phi, phi[objects.event])
    return delta_r(objects.eta - eta[objects.event], d_phi) < radius


def _barycentre(
    clusters: Clusters, eta: Array, phi: Array, radius: float
) -> tuple[Array, Array, Array]:
    """Return the ET sum within `radius` of each axis, and eta and phi of the ET-weighted centre."""
    c = clusters.take(_is_near(clusters, eta, phi, radius))
    et = total(c.et, c.event, len(eta))
    safe = np.maximum(et, 1e-9)
    d_eta = total(c.et * (c.eta - eta[c.event]), c.event, len(eta)) / safe
    d_phi = total(c.et * delta_phi(c.phi, phi[c.event]), c.event, len(eta)) / safe
    return et, eta + d_eta, wrap_phi(phi + d_phi)
