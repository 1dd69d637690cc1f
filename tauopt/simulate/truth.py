"""Match candidates to true taus, and apply the selection of the tau identification."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r
from tauopt.simulate.columns import Array, pairs
from tauopt.simulate.taus import Taus

MATCH_RADIUS, VETO_RADIUS = 0.2, 0.4
"""dR of a true tau: candidates within the first are taus, those beyond the second are jets."""
MIN_PT_GEV, MAX_ETA, CRACK = 20.0, 2.5, (1.37, 1.52)
"""Acceptance in pT and |eta|, without the crack between barrel and endcap calorimeter."""


def match(
    taus: Taus, event: Array, eta: Array, phi: Array, *, n_events: int
) -> tuple[Array, Array]:
    """Match each candidate to the nearest true tau of its event.

    Args:
        taus: true taus, ordered by event.
        event: event of each candidate, (candidate,).
        eta: pseudorapidity of each candidate, (candidate,).
        phi: azimuthal angle of each candidate, (candidate,).
        n_events: events are 0 .. n_events - 1.
    Returns:
        row of the nearest tau in `taus` if it is within `MATCH_RADIUS`, else -1, (candidate,);
        and the distance to it, infinite in events without taus, (candidate,).
    """
    candidate, tau = pairs(event, taus.event, n_events)
    distance = delta_r(eta[candidate] - taus.eta[tau], delta_phi(phi[candidate], taus.phi[tau]))
    order = np.lexsort((distance, candidate))
    first = order[np.unique(candidate[order], return_index=True)[1]]
    nearest, closest = np.full(len(event), -1), np.full(len(event), np.inf)
    closest[candidate[first]] = distance[first]
    nearest[candidate[first]] = np.where(distance[first] < MATCH_RADIUS, tau[first], -1)
    return nearest, closest


def truth_columns(taus: Taus, nearest: Array) -> dict[str, Array]:
    """Return the truth branches of each candidate; zeros (class 0: jet) without a matched tau.

    Args:
        taus: true taus.
        nearest: row of the matched tau, or -1, (candidate,).
    """
    is_matched = nearest >= 0

    def of_matched(values: Array) -> Array:
        return np.where(is_matched, values[nearest], 0) if len(values) else np.zeros(len(nearest))

    return {
        "truth_class": of_matched(taus.truth_class),
        "truth_prongs": of_matched(taus.prongs),
        "truth_neutrals": of_matched(taus.neutrals),
        # As in PanTau: 0 1p0n, 1 1p1n, 2 1pXn, 3 3p0n, 4 3pXn, -1 no tau.
        "truth_decay_mode": of_matched(taus.truth_class) - 1,
        "truth_pt_vis": of_matched(taus.pt),
        "truth_eta_vis": of_matched(taus.eta),
        "truth_phi_vis": of_matched(taus.phi),
    }


def in_acceptance(pt_gev: Array, eta: Array) -> Array:
    """Return a mask: pT above 20 GeV, |eta| < 2.5, outside the crack."""
    absolute = np.abs(eta)
    crack = (absolute > CRACK[0]) & (absolute < CRACK[1])
    return (pt_gev > MIN_PT_GEV) & (absolute < MAX_ETA) & ~crack


def is_selected(columns: Mapping[str, Array]) -> Array:
    """Return the mask of candidates that pass the selection of the tau identification.

    A candidate has one or three tracks and lies in the acceptance, as does its true tau.

    Args:
        columns: branch name -> values in GeV, (candidate,).
    """
    is_tau = columns["truth_class"] > 0
    return (
        np.isin(columns["n_tracks"], (1, 3))
        & in_acceptance(columns["pt"], columns["eta"])
        & (~is_tau | in_acceptance(columns["truth_pt_vis"], columns["truth_eta_vis"]))
    )
