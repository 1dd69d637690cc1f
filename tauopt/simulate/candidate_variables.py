"""Candidate variables of the ATLAS tau identification (ATL-PHYS-PUB-2015-045)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r
from tauopt.simulate.calorimeter import Deposits
from tauopt.simulate.clusters import Clusters, NeutralPfos
from tauopt.simulate.columns import Array, Table, leading, rank, total
from tauopt.simulate.particles import MASS_GEV
from tauopt.simulate.tracks import Tracks

EM_SCALE = 0.75
"""Response of the hadronic part at the electromagnetic scale, before calibration."""


@dataclass(frozen=True)
class CandidateDirection(Table):
    """Axis of each candidate."""

    eta: Array
    phi: Array


def calorimeter_variables(
    deposits: Deposits,
    clusters: Clusters,
    axis: CandidateDirection,
    *,
    noise_gev: Array,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Return centFrac, and sums of ET and energy in GeV that the other variables need.

    Args:
        deposits: shower parts, with the candidate's number as `event`.
        clusters: clusters, with the candidate's number as `event`.
        axis: axis of each candidate.
        noise_gev: noise of the cells in a core cone, (candidate,).
        rng: source of randomness.
    """
    n = len(axis)
    distance = _distance(deposits, axis)
    narrow, core = (total(deposits.et * (distance < r), deposits.event, n) for r in (0.1, 0.2))
    # centFrac comes from cells, with their noise, which clustering suppresses in the other sums.
    # A quarter of the core's cells are in the narrow cone, and noise adds in quadrature.
    inner = noise_gev * np.sqrt(0.25) * rng.standard_normal(n)
    outer = noise_gev * np.sqrt(0.75) * rng.standard_normal(n)
    near = clusters.take(_distance(clusters, axis) < 0.2)
    em_scale_et = near.em_et + EM_SCALE * (near.et - near.em_et)
    return {
        "centFrac": np.clip((narrow + inner) / np.maximum(core + inner + outer, 1e-9), 0.0, 1.0),
        "core_et": total(near.et, near.event, n),
        "em_energy": total(near.em_et * np.cosh(near.eta), near.event, n),
        "em_scale_et": total(em_scale_et, near.event, n),
    }


def track_variables(
    core: Tracks, isolation: Tracks, axis: CandidateDirection, *, sums: dict[str, Array]
) -> dict[str, Array]:
    """Return the track variables; candidates without core tracks have zeros.

    Args:
        core: core tracks by candidate, descending in pT.
        isolation: isolation tracks by candidate, descending in pT.
        axis: axis of each candidate.
        sums: output of `calorimeter_variables`.
    """
    n = len(axis)
    lead = leading(core.event, n)
    has_track = lead >= 0
    # Division by an infinite momentum gives the zeros of candidates without tracks.
    lead_pt = np.where(has_track, core.pt[lead], np.inf) if len(core) else np.full(n, np.inf)
    d0_significance = core.d0 / core.sigma_d0
    largest_distance = np.zeros(n)
    np.maximum.at(largest_distance, core.event, _distance(core, axis))
    core_pt, isolation_pt = total(core.pt, core.event, n), total(isolation.pt, isolation.event, n)
    px, py, pz, _ = _momentum(core, n)
    momentum = np.sqrt(px**2 + py**2 + pz**2)
    tracks = Tracks.join([core, isolation])
    return {
        "etOverPtLeadTrk": sums["em_scale_et"] / lead_pt,
        "dRmax": largest_distance,
        "SumPtTrkFrac": isolation_pt / np.maximum(core_pt + isolation_pt, 1e-9),
        "EMPOverTrkSysP": sums["em_energy"] / np.where(has_track, momentum, np.inf),
        "ipSigLeadTrk": (
            np.where(has_track, d0_significance[lead], 0.0) if len(core) else np.zeros(n)
        ),
        "trFlightPathSig": flight_significance(core, axis.phi),
        "massTrkSys": _mass(_momentum(tracks, n)),
    }


def flight_significance(tracks: Tracks, axis_phi: Array) -> Array:
    """Return the signed transverse flight length of each candidate's tracks over its error.

    Each track is a straight line at distance d0 from the beam. The secondary vertex is the
    least-squares point of the lines, and its error follows from the same normal equations.
    Candidates with fewer than two tracks have 0.

    Args:
        tracks: core tracks with the candidate's number as `event`.
        axis_phi: azimuthal angle of each candidate's axis, (candidate,).
    """
    n = len(axis_phi)
    weight = 1 / tracks.sigma_d0**2
    # Line of a track: a x + b y = d0. The sums are the elements of the normal equations.
    a, b = -np.sin(tracks.phi), np.cos(tracks.phi)
    aa = total(weight * a * a, tracks.event, n)
    ab = total(weight * a * b, tracks.event, n)
    bb = total(weight * b * b, tracks.event, n)
    ad = total(weight * a * tracks.d0, tracks.event, n)
    bd = total(weight * b * tracks.d0, tracks.event, n)
    determinant = aa * bb - ab * ab
    # Nearly parallel tracks have no vertex either.
    solvable = (np.bincount(tracks.event, minlength=n) > 1) & (determinant > 1e-6 * aa * bb)
    safe = np.where(solvable, determinant, 1.0)
    x, y = (bb * ad - ab * bd) / safe, (aa * bd - ab * ad) / safe
    cos, sin = np.cos(axis_phi), np.sin(axis_phi)
    length = x * cos + y * sin
    variance = (bb * cos**2 - 2 * ab * sin * cos + aa * sin**2) / safe
    return np.where(solvable, length / np.sqrt(np.maximum(variance, 1e-12)), 0.0)


def flow_variables(
    core: Tracks, pfos: NeutralPfos, axis: CandidateDirection, *, pt: Array
) -> dict[str, Array]:
    """Return ptRatioEflowApprox and mEflowApprox, from core tracks and the two leading PFOs.

    Args:
        core: core tracks by candidate.
        pfos: neutral particle-flow objects by candidate, descending in pT; only those within
            dR < 0.2 of the axis are used.
        axis: axis of each candidate.
        pt: transverse momentum of each candidate in GeV, (candidate,).
    """
    n = len(pt)
    near = pfos.take(_distance(pfos, axis) < 0.2)
    near = near.take(rank(near.event, n) < 2)
    charged = _momentum(core, n)
    neutral = _sum_vectors(near.pt, near.eta, near.phi, near.event, n=n, mass=0.0)
    px, py, pz, e = (a + b for a, b in zip(charged, neutral, strict=True))
    return {
        "ptRatioEflowApprox": np.hypot(px, py) / pt,
        "mEflowApprox": _mass((px, py, pz, e)),
    }


def _distance(
    objects: Deposits | Clusters | Tracks | NeutralPfos, axis: CandidateDirection
) -> Array:
    d_phi = delta_phi(objects.phi, axis.phi[objects.event])
    return delta_r(objects.eta - axis.eta[objects.event], d_phi)


def _momentum(tracks: Tracks, n: int) -> tuple[Array, ...]:
    """Sum the four-momenta of each candidate's tracks, taken as pions."""
    return _sum_vectors(tracks.pt, tracks.eta, tracks.phi, tracks.event, n=n, mass=MASS_GEV["pion"])


def _sum_vectors(
    pt: Array, eta: Array, phi: Array, event: Array, *, n: int, mass: float
) -> tuple[Array, ...]:
    """Sum four-momenta by candidate: px, py, pz and energy, (candidate,) each."""
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    parts = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy)
    return tuple(total(part, event, n) for part in parts)


def _mass(vector: tuple[Array, ...]) -> Array:
    px, py, pz, e = vector
    mass: Array = np.sqrt(np.maximum(e**2 - px**2 - py**2 - pz**2, 0.0))
    return mass
