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
"""Radius parameter of clusters, and largest distance of a matched track."""
MIN_ET_GEV = 0.5
MIN_PFO_PT_GEV = 1.5


@dataclass(frozen=True)
class Clusters(Table):
    """Clusters ordered by candidate (`event`) and descending ET; GeV, mm and mm^2."""

    event: Array
    et: Array
    eta: Array
    phi: Array
    em_et: Array
    photon_et: Array
    """Part of `em_et` from photons and electrons."""
    photons: Array
    """Number of photons and electrons above 0.5 GeV."""
    second_r: Array
    second_lambda: Array
    center_lambda: Array
    em_second_r: Array
    em_second_eta: Array


def make_clusters(deposits: Deposits, *, n_candidates: int) -> Clusters:
    """Cluster deposits with the anti-kT algorithm, radius parameter 0.1.

    Args:
        deposits: shower parts, ordered by candidate (`event`).
        n_candidates: candidates are 0 .. n_candidates - 1.
    """
    cluster = find_members(
        deposits.et, deposits.eta, deposits.phi, deposits.event,
        n_events=n_candidates, radius=RADIUS, min_pt=MIN_ET_GEV,
    )  # fmt: skip
    deposits, cluster = deposits.take(cluster >= 0), cluster[cluster >= 0]
    order = np.argsort(cluster, kind="stable")
    deposits, cluster = deposits.take(order), cluster[order]
    n = int(cluster[-1]) + 1 if len(cluster) else 0
    clusters = _moments(deposits, cluster, n)
    return clusters.take(np.lexsort((-clusters.et, clusters.event)))


def _moments(d: Deposits, cluster: Array, n: int) -> Clusters:
    """Compute the moments of `n` clusters; `cluster` is the number of each deposit's cluster."""
    weight, et = d.energy, d.et
    energy = total(weight, cluster, n)
    event = np.zeros(n, dtype=np.int64)
    event[cluster] = d.event
    # phi is averaged relative to one deposit of the cluster, so that clusters across +-pi work.
    reference = np.zeros(n)
    reference[cluster] = d.phi
    shift = delta_phi(d.phi, reference[cluster])
    eta = total(weight * d.eta, cluster, n) / energy
    phi = reference + total(weight * shift, cluster, n) / energy
    d_eta, d_phi = d.eta - eta[cluster], delta_phi(d.phi, phi[cluster])
    # Variance of a deposit about the cluster's centre: its own width, and its distance squared.
    lateral = d.width2 + (FACE_MM * delta_r(d_eta, d_phi)) ** 2
    depth = total(weight * d.depth, cluster, n) / energy
    longitudinal = d.depth2 + (d.depth - depth[cluster]) ** 2
    em_weight = weight * d.em
    em_energy = np.maximum(total(em_weight, cluster, n), 1e-9)
    return Clusters(
        event=event,
        et=total(et, cluster, n),
        eta=eta,
        phi=wrap_phi(phi),
        em_et=total(et * d.em, cluster, n),
        photon_et=total(et * d.photon, cluster, n),
        photons=total(d.photon & (weight > 0.5), cluster, n).astype(np.int64),
        second_r=total(weight * lateral, cluster, n) / energy,
        second_lambda=total(weight * longitudinal, cluster, n) / energy,
        center_lambda=depth,
        em_second_r=total(em_weight * lateral, cluster, n) / em_energy,
        em_second_eta=total(em_weight * (d_eta**2 + (EM_CELL / 8) ** 2), cluster, n) / em_energy,
    )


@dataclass(frozen=True)
class NeutralPfos(Table):
    """Neutral particle-flow objects after charged subtraction, by candidate and descending pT."""

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
    """Make neutral particle-flow objects: subtract charged hadrons from electromagnetic clusters.

    The energy of a track in the electromagnetic part is its momentum minus the energy in the
    cluster's hadronic part.

    Args:
        clusters: clusters by candidate.
        tracks: core tracks by candidate.
        n_candidates: candidates are 0 .. n_candidates - 1.
        rng: source of randomness.

    Source: ATLAS, arXiv:1512.05955, section 3.1.
    """
    charged = _matched_momentum(clusters, tracks, n_candidates)
    charged_em = np.maximum(charged - (clusters.et - clusters.em_et), 0.0)
    subtracted = np.minimum(charged_em, clusters.em_et)
    pt = clusters.em_et - subtracted
    kept = pt > MIN_PFO_PT_GEV
    c, pt, subtracted = clusters.take(kept), pt[kept], subtracted[kept]
    n = len(pt)
    photon_fraction = c.photon_et / np.maximum(c.em_et, 1e-9)
    pfos = NeutralPfos(
        event=c.event,
        pt=pt,
        eta=c.eta,
        phi=c.phi,
        # Stands for a trained score: it rises with the true fraction of photons.
        pi0_score=1 / (1 + np.exp(-(5 * (photon_fraction - 0.55) + rng.normal(0, 1.2, n)))),
        hits_em1=rng.binomial(c.photons, 0.85) + rng.poisson(0.15, n),
        positive_cells_em1=rng.poisson(8 + 6 * np.log1p(pt)),
        second_r=c.em_second_r,
        second_eta=c.em_second_eta * rng.lognormal(0, 0.2, n),
        core_fraction=np.clip(
            np.exp(-c.em_second_r / 60.0**2) * rng.lognormal(0, 0.1, n), 0.0, 1.0
        ),
        em2_fraction=np.clip(0.45 + 0.25 * photon_fraction + rng.normal(0, 0.12, n), 0.0, 1.0),
        pt_subtracted=subtracted,
    )
    return pfos.take(np.lexsort((-pfos.pt, pfos.event)))


def _matched_momentum(clusters: Clusters, tracks: Tracks, n_candidates: int) -> Array:
    """Match each track to its nearest cluster within 0.1; sum the matched pT of each cluster."""
    bend = np.arcsin(np.minimum(BEND_GEV / tracks.pt, 1.0))
    phi_at_face = tracks.phi - tracks.charge * bend
    track, cluster = pairs(tracks.event, clusters.event, n_candidates)
    distance = delta_r(
        tracks.eta[track] - clusters.eta[cluster],
        delta_phi(phi_at_face[track], clusters.phi[cluster]),
    )
    near = distance < RADIUS
    track, cluster, distance = track[near], cluster[near], distance[near]
    order = np.lexsort((distance, track))
    track, cluster = track[order], cluster[order]
    nearest = np.concatenate([[True], np.diff(track) > 0]) if len(track) else np.zeros(0, bool)
    return total(tracks.pt[track[nearest]], cluster[nearest], len(clusters))
