"""Candidate variables of the ATLAS tau identification (ATL-PHYS-PUB-2015-045, PHYSICS.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r
from tauopt.simulate.calorimeter import Deposits
from tauopt.simulate.clusters import Clusters, NeutralPfos
from tauopt.simulate.columns import Array, Table, leading, rank, total
from tauopt.simulate.particles import MASS_GEV
from tauopt.simulate.tracks import Tracks
from tauopt.simulate.vertices import flight_significance

EM_SCALE = 0.75
"""Response to the hadronic part before calibration."""


@dataclass(frozen=True)
class CandidateDirection(Table):
    """Direction of each candidate."""

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
    """Return centFrac, and ET and energy sums in GeV that the other variables need.

    centFrac comes from cells, whose noise the clusters have suppressed.

    Args:
        deposits, clusters: by candidate.
        axis: of each candidate.
        noise_gev: noise of the cells in a core cone, (candidate,).
        rng: source of randomness.
    """
    n = len(axis)
    distance = _distance(deposits, axis)
    narrow, core = (total(deposits.et * (distance < r), deposits.event, n) for r in (0.1, 0.2))
    # A quarter of the core's cells are in the narrow cone, and noise adds in quadrature.
    inner = noise_gev * np.sqrt(0.25) * rng.standard_normal(n)
    outer = noise_gev * np.sqrt(0.75) * rng.standard_normal(n)
    c = clusters.take(_distance(clusters, axis) < 0.2)
    return {
        "centFrac": np.clip((narrow + inner) / np.maximum(core + inner + outer, 1e-9), 0.0, 1.0),
        "core_et": total(c.et, c.event, n),
        "em_energy": total(c.em_et * np.cosh(c.eta), c.event, n),
        "em_scale_et": total(c.em_et + EM_SCALE * (c.et - c.em_et), c.event, n),
    }


def track_variables(
    core: Tracks, isolation: Tracks, axis: CandidateDirection, *, sums: dict[str, Array]
) -> dict[str, Array]:
    """Return the variables of tracks; candidates without core tracks have zeros.

    Args:
        core, isolation: tracks by candidate, descending in pT.
        axis: of each candidate.
        sums: from `calorimeter_variables`.
    """
    n = len(axis)
    first = leading(core.event, n)
    has = first >= 0
    lead_pt = np.where(has, core.pt[first], np.inf) if len(core) else np.full(n, np.inf)
    significance = core.d0 / core.sigma_d0
    largest = np.zeros(n)
    np.maximum.at(largest, core.event, _distance(core, axis))
    core_pt, isolation_pt = total(core.pt, core.event, n), total(isolation.pt, isolation.event, n)
    px, py, pz, _ = _momentum(core, n)
    momentum = np.sqrt(px**2 + py**2 + pz**2)
    everything = Tracks.join([core, isolation])
    return {
        "etOverPtLeadTrk": sums["em_scale_et"] / lead_pt,
        "dRmax": largest,
        "SumPtTrkFrac": isolation_pt / np.maximum(core_pt + isolation_pt, 1e-9),
        "EMPOverTrkSysP": sums["em_energy"] / np.where(has, momentum, np.inf),
        "ipSigLeadTrk": np.where(has, significance[first], 0.0) if len(core) else np.zeros(n),
        "trFlightPathSig": flight_significance(core, axis.phi),
        "massTrkSys": _mass(_momentum(everything, n)),
    }


def flow_variables(
    core: Tracks, pfos: NeutralPfos, axis: CandidateDirection, *, pt: Array
) -> dict[str, Array]:
    """Return ptRatioEflowApprox and mEflowApprox: core tracks and up to two neutral objects."""
    n = len(pt)
    near = pfos.take(_distance(pfos, axis) < 0.2)
    near = near.take(rank(near.event, n) < 2)
    tracks, neutral = _momentum(core, n), _vector(near.pt, near.eta, near.phi, near.event, n, 0.0)
    px, py, pz, e = (a + b for a, b in zip(tracks, neutral, strict=True))
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
    return _vector(tracks.pt, tracks.eta, tracks.phi, tracks.event, n, MASS_GEV["pion"])


def _vector(
    pt: Array, eta: Array, phi: Array, event: Array, n: int, mass: float
) -> tuple[Array, ...]:
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    parts = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy)
    return tuple(total(part, event, n) for part in parts)


def _mass(vector: tuple[Array, ...]) -> Array:
    px, py, pz, e = vector
    mass: Array = np.sqrt(np.maximum(e**2 - px**2 - py**2 - pz**2, 0.0))
    return mass
