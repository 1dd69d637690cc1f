"""Final-state particles of a batch of events, as flat arrays, in GeV and mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tauopt.simulate.columns import Array, Table

NEUTRINOS = (12, 14, 16)
MASS_GEV = {"tau": 1.77686, "pion": 0.13957, "electron": 0.000511}
CHARGE = {
    11: -1, 13: -1, 15: -1, 211: 1, 321: 1, 2212: 1,
    3112: -1, 3222: 1, 3312: -1, 3334: -1, 411: 1, 431: 1, 521: 1,
}  # fmt: skip
"""PDG code -> charge, of charged particles that are stable enough to reach a detector."""


@dataclass(frozen=True)
class Particles(Table):
    """Particles: event (row,) int64, PDG code, four-momentum in GeV, production vertex in mm."""

    event: Array
    pdg: Array
    px: Array
    py: Array
    pz: Array
    e: Array
    vx: Array
    vy: Array
    vz: Array

    @property
    def pt(self) -> Array:
        """Transverse momentum in GeV."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> Array:
        """Pseudorapidity."""
        return np.arcsinh(self.pz / np.maximum(self.pt, 1e-9))

    @property
    def phi(self) -> Array:
        """Azimuthal angle in radians."""
        return np.arctan2(self.py, self.px)

    @property
    def visible(self) -> Array:
        """True for all but neutrinos."""
        return ~np.isin(np.abs(self.pdg), NEUTRINOS)

    @property
    def charge(self) -> Array:
        """Electric charge; 0 for particles that are not in `CHARGE`."""
        charge = np.zeros(len(self), dtype=np.int64)
        for code, sign in CHARGE.items():
            charge[self.pdg == code] = sign
            charge[self.pdg == -code] = -sign
        return charge
