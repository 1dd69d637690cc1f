"""Which candidates are true taus, which are jets, and which are neither."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r
from tauopt.simulate.columns import Array, pairs
from tauopt.simulate.taus import Taus

MATCH, VETO = 0.2, 0.4
"""A candidate is a tau within the first distance of one, and no jet within the second."""
MIN_PT_GEV, MAX_ETA, CRACK = 20.0, 2.5, (1.37, 1.52)


def match(
    taus: Taus, event: Array, eta: Array, phi: Array, *, n_events: int
) -> tuple[Array, Array]:
    """Find the nearest true tau of each candidate.

    Returns:
        its row in `taus` where it is within `MATCH`, else -1; and the distance to the nearest
        one, infinite where the event has none.
    """
    candidate, tau = pairs(event, taus.event, n_events)
    distance = delta_r(eta[candidate] - taus.eta[tau], delta_phi(phi[candidate], taus.phi[tau]))
    order = np.lexsort((distance, candidate))
    first = order[np.unique(candidate[order], return_index=True)[1]]
    nearest, closest = np.full(len(event), -1), np.full(len(event), np.inf)
    closest[candidate[first]] = distance[first]
    nearest[candidate[first]] = np.where(distance[first] < MATCH, tau[first], -1)
    return nearest, closest


def truth_columns(taus: Taus, nearest: Array) -> dict[str, Array]:
    """Return the truth of each candidate; zeros (class 0: jet) where no tau was matched."""
    matched = nearest >= 0

    def of(values: Array) -> Array:
        return np.where(matched, values[nearest], 0) if len(values) else np.zeros(len(nearest))

    return {
        "truth_class": of(taus.truth_class),
        "truth_prongs": of(taus.prongs),
        "truth_neutrals": of(taus.neutrals),
        # As in PanTau: 0 1p0n, 1 1p1n, 2 1pXn, 3 3p0n, 4 3pXn, -1 no tau.
        "truth_decay_mode": of(taus.truth_class) - 1,
        "truth_pt_vis": of(taus.pt),
        "truth_eta_vis": of(taus.eta),
        "truth_phi_vis": of(taus.phi),
    }


def in_acceptance(pt_gev: Array, eta: Array) -> Array:
    """Tell what is above 20 GeV, within |eta| < 2.5 and outside the crack."""
    absolute = np.abs(eta)
    crack = (absolute > CRACK[0]) & (absolute < CRACK[1])
    return (pt_gev > MIN_PT_GEV) & (absolute < MAX_ETA) & ~crack


def is_selected(columns: Mapping[str, Array]) -> Array:
    """Tell which candidates the tau identification looks at (columns in GeV)."""
    tau = columns["truth_class"] > 0
    return (
        np.isin(columns["n_tracks"], (1, 3))
        & in_acceptance(columns["pt"], columns["eta"])
        & (~tau | in_acceptance(columns["truth_pt_vis"], columns["truth_eta_vis"]))
    )
