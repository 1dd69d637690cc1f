"""Calorimeter clusters with their moments, and neutral particle-flow objects.

Moments as in ATLAS topological clusters (arXiv:1603.02934, section 3): SECOND_R and SECOND_LAMBDA
are energy-weighted second moments across and along the shower, CENTER_LAMBDA the depth of its
centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r, wrap_phi
from tauopt.simulate.calorimeter import BEND_GEV, EM_CELL, FACE_MM, Deposits
from tauopt.simulate.columns import Array, Table, pairs, total
from tauopt.simulate.jets import find_members
from tauopt.simulate.tracks import Tracks

RADIUS = 0.1
MIN_ET_GEV = 0.5
MIN_PFO_PT_GEV = 1.5


@dataclass(frozen=True)
class Clusters(Table):
    """Clusters by candidate (`event`) and descending ET; GeV and mm."""

    event: Array
    et: Array
    eta: Array
    phi: Array
    em_et: Array
    photon_et: Array
    """Part of `em_et` from photons and electrons."""
    photons: Array
    """Photons and electrons above 0.5 GeV."""
    second_r: Array
    second_lambda: Array
    center_lambda: Array
    em_second_r: Array
    em_second_eta: Array


def make_clusters(deposits: Deposits, *, n_candidates: int) -> Clusters:
    """Group deposits within 0.1 (anti-kT) into clusters.

    Args:
        deposits: ordered by candidate (`event`).
        n_candidates: candidates are 0 .. n_candidates - 1.
    """
    number = find_members(
        deposits.et, deposits.eta, deposits.phi, deposits.event,
        n_events=n_candidates, radius=RADIUS, min_pt=MIN_ET_GEV,
    )  # fmt: skip
    d, number = deposits.take(number >= 0), number[number >= 0]
    order = np.argsort(number, kind="stable")
    d, number = d.take(order), number[order]
    n = int(number[-1]) + 1 if len(number) else 0
    clusters = _moments(d, number, n)
    return clusters.take(np.lexsort((-clusters.et, clusters.event)))


def _moments(d: Deposits, number: Array, n: int) -> Clusters:
    weight, et = d.energy, d.et
    energy = total(weight, number, n)
    event = np.zeros(n, dtype=np.int64)
    event[number] = d.event
    reference = np.zeros(n)
    reference[number] = d.phi
    shift = delta_phi(d.phi, reference[number])
    eta = total(weight * d.eta, number, n) / energy
    phi = reference + total(weight * shift, number, n) / energy
    d_eta, d_phi = d.eta - eta[number], delta_phi(d.phi, phi[number])
    lateral = d.width2 + (FACE_MM * delta_r(d_eta, d_phi)) ** 2
    depth = total(weight * d.depth, number, n) / energy
    along = d.depth2 + (d.depth - depth[number]) ** 2
    em = weight * d.em
    em_energy = np.maximum(total(em, number, n), 1e-9)
    return Clusters(
        event=event,
        et=total(et, number, n),
        eta=eta,
        phi=wrap_phi(phi),
        em_et=total(et * d.em, number, n),
        photon_et=total(et * d.photon, number, n),
        photons=total(d.photon & (weight > 0.5), number, n).astype(np.int64),
        second_r=total(weight * lateral, number, n) / energy,
        second_lambda=total(weight * along, number, n) / energy,
        center_lambda=depth,
        em_second_r=total(em * lateral, number, n) / em_energy,
        em_second_eta=total(em * (d_eta**2 + (EM_CELL / 8) ** 2), number, n) / em_energy,
    )


@dataclass(frozen=True)
class NeutralPfos(Table):
    """Neutral particle-flow objects by candidate and descending pT, after charged subtraction."""

    event: Array
    pt: Array
    eta: Array
    phi: Array
    pi0_score: Array
    hits_em1: Array
    positive_cells_em1: Array
    second_r: Array
    second_eta: Array
    core_fraction: Array
    em2_fraction: Array
    pt_subtracted: Array


def make_neutral_pfos(
    clusters: Clusters, tracks: Tracks, *, n_candidates: int, rng: np.random.Generator
) -> NeutralPfos:
    """Subtract from each cluster's electromagnetic energy what its tracks put there.

    A track puts into the electromagnetic part what of its momentum is missing in the cluster's
    hadronic part (ATLAS, arXiv:1512.05955, section 3.1). The score stands for a trained one: it
    rises with the true share of photons.
    """
    charged = _matched_momentum(clusters, tracks, n_candidates)
    left = np.maximum(charged - (clusters.et - clusters.em_et), 0.0)
    subtracted = np.minimum(left, clusters.em_et)
    pt = clusters.em_et - subtracted
    kept = pt > MIN_PFO_PT_GEV
    c, pt, subtracted = clusters.take(kept), pt[kept], subtracted[kept]
    n = len(pt)
    share = c.photon_et / np.maximum(c.em_et, 1e-9)
    pfos = NeutralPfos(
        event=c.event,
        pt=pt,
        eta=c.eta,
        phi=c.phi,
        pi0_score=1 / (1 + np.exp(-(5 * (share - 0.55) + rng.normal(0, 1.2, n)))),
        hits_em1=rng.binomial(c.photons, 0.85) + rng.poisson(0.15, n),
        positive_cells_em1=rng.poisson(8 + 6 * np.log1p(pt)),
        second_r=c.em_second_r,
        second_eta=c.em_second_eta * rng.lognormal(0, 0.2, n),
        core_fraction=np.clip(
            np.exp(-c.em_second_r / 60.0**2) * rng.lognormal(0, 0.1, n), 0.0, 1.0
        ),
        em2_fraction=np.clip(0.45 + 0.25 * share + rng.normal(0, 0.12, n), 0.0, 1.0),
        pt_subtracted=subtracted,
    )
    return pfos.take(np.lexsort((-pfos.pt, pfos.event)))


def _matched_momentum(clusters: Clusters, tracks: Tracks, n_candidates: int) -> Array:
    """Sum the transverse momenta of the tracks that point to each cluster, the nearest to each."""
    bend = np.arcsin(np.minimum(BEND_GEV / tracks.pt, 1.0))
    track, cluster = pairs(tracks.event, clusters.event, n_candidates)
    distance = delta_r(
        tracks.eta[track] - clusters.eta[cluster],
        delta_phi((tracks.phi - tracks.charge * bend)[track], clusters.phi[cluster]),
    )
    near = distance < RADIUS
    track, cluster, distance = track[near], cluster[near], distance[near]
    order = np.lexsort((distance, track))
    track, cluster = track[order], cluster[order]
    nearest = np.concatenate([[True], np.diff(track) > 0]) if len(track) else np.zeros(0, bool)
    return total(tracks.pt[track[nearest]], cluster[nearest], len(clusters))
