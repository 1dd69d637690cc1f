"""True hadronic taus: their decay products, decay mode and visible momentum.

With `TauDecays:mode` 0 and 5 taus are unpolarised, so their decays are isotropic: a decay drawn
at rest may be turned at random and boosted to any tau. Decays then come from a bank made once a
file, each of its entries used about four times in independent orientations, which is three times
faster than decaying each tau anew. Mode 1 (spin correlations) decays inside its event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tauopt.errors import TauoptError
from tauopt.simulate.columns import Array, Table, total
from tauopt.simulate.generator import EventRecord, open_generator
from tauopt.simulate.particles import MASS_GEV, Particles

CLASSES = ("jet", "1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
"""`truth_class` is the index into these."""
PROPER_LENGTH_MM = 0.08703
"""c times the tau lifetime (PDG 2024)."""
BANK_BATCH = 20
"""Taus at rest that Pythia decays in one go."""


@dataclass(frozen=True)
class Taus(Table):
    """True taus: event, visible four-momentum in GeV, decay counts."""

    event: Array
    px: Array
    py: Array
    pz: Array
    e: Array
    prongs: Array
    """Charged pions and kaons, decays of neutral kaons left out."""
    neutrals: Array
    """Neutral pions, decays of neutral kaons left out."""

    @property
    def pt(self) -> Array:
        """Visible transverse momentum in GeV."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> Array:
        """Pseudorapidity of the visible momentum."""
        return np.arcsinh(self.pz / np.maximum(self.pt, 1e-9))

    @property
    def phi(self) -> Array:
        """Azimuthal angle of the visible momentum."""
        return np.arctan2(self.py, self.px)

    @property
    def truth_class(self) -> Array:
        """Index into `CLASSES`, or -1 for what is none of them (five prongs)."""
        one = np.minimum(1 + self.neutrals, 3)
        three = np.where(self.neutrals > 0, 5, 4)
        return np.select([self.prongs == 1, self.prongs == 3], [one, three], default=-1)


@dataclass(frozen=True)
class Decays:
    """Tau decays: products of all of them, ordered by tau, `Particles.event` being the tau."""

    products: Particles
    prongs: Array
    neutrals: Array


_NO_COUNTS = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def tau_decays(record: EventRecord) -> tuple[Array, Decays]:
    """Read the decays of the taus of a record.

    Returns:
        rows of the decaying taus in the record, (tau,); and their decays, with vertices as
        in the record.
    """
    pdg, mother = np.abs(record.particles.pdg), record.mother
    if not np.any(pdg == 15):
        return np.zeros(0, dtype=np.int64), Decays(record.particles.take(pdg == 15), *_NO_COUNTS)
    radiated = np.unique(mother[(pdg == 15) & (mother != np.arange(len(mother)))])
    radiated = radiated[pdg[radiated] == 15]
    taus = np.setdiff1d(np.flatnonzero((pdg == 15) & ~record.final), radiated)
    number = np.full(len(pdg), -1)
    number[taus] = np.arange(len(taus))
    kaon_born = np.isin(pdg, (130, 310, 311))
    ancestor = mother.copy()
    for _ in range(12):  # generations below a tau; a tau decay has at most 7
        found = number[ancestor] >= 0
        step = mother[ancestor]
        if np.all(found | (step == ancestor)):
            break
        kaon_born |= ~found & kaon_born[ancestor]
        ancestor = np.where(found, ancestor, step)
    tau = number[ancestor]
    counted = (tau >= 0) & ~kaon_born
    prongs = total(counted & record.final & np.isin(pdg, (211, 321)), tau.clip(0), len(taus))
    neutrals = total(counted & (pdg == 111), tau.clip(0), len(taus))
    rows = np.flatnonzero((tau >= 0) & record.final)
    rows = rows[np.argsort(tau[rows], kind="stable")]
    products = record.particles.take(rows)
    products = Particles(**{**vars(products), "event": tau[rows]})
    return taus, Decays(products, prongs.astype(np.int64), neutrals.astype(np.int64))


def decay_bank(n_decays: int, *, mode: int, seed: int) -> Decays:
    """Decay `n_decays` tau- at rest at the origin of space and time.

    Args:
        n_decays: rounded up to whole batches.
        mode: Pythia's `TauDecays:mode`, 0 or 5.
        seed: Pythia's seed.
    """
    pythia = open_generator(
        ["ProcessLevel:all = off", "Check:event = off", f"TauDecays:mode = {mode}"], seed=seed
    )
    batches = [_decay_at_rest(pythia) for _ in range(-(-n_decays // BANK_BATCH))]
    events = [
        Particles(**{**vars(b.products), "event": b.products.event + i * BANK_BATCH})
        for i, b in enumerate(batches)
    ]
    return Decays(
        Particles.join(events),
        np.concatenate([b.prongs for b in batches]),
        np.concatenate([b.neutrals for b in batches]),
    )


def _decay_at_rest(pythia: Any) -> Decays:
    event, mass = pythia.event, MASS_GEV["tau"]
    for _ in range(100):
        event.reset()
        for _ in range(BANK_BATCH):
            event.append(15, 1, 0, 0, 0.0, 0.0, 0.0, mass, mass)
        if pythia.next():
            break
    rows = np.array(
        [
            (0, p.id(), p.px(), p.py(), p.pz(), p.e(), p.xProd(), p.yProd(), p.zProd(),
             p.status() > 0, p.mother1())
            for p in (event[i] for i in range(event.size()))
        ]
    )  # fmt: skip
    integers = rows.astype(np.int64)
    mother = np.where(integers[:, 10] > 0, integers[:, 10], np.arange(len(rows)))
    particles = Particles(integers[:, 0], integers[:, 1], *rows[:, 2:9].T)
    record = EventRecord(1, particles, integers[:, 9] > 0, mother, np.ones(1))
    taus, decays = tau_decays(record)
    if len(taus) != BANK_BATCH:
        raise TauoptError(f"Pythia decayed {len(taus)} of {BANK_BATCH} taus at rest")
    return decays


def draw_decays(
    taus: Particles, bank: Decays, *, rng: np.random.Generator
) -> tuple[Particles, Taus]:
    """Let each tau fly and decay like a random entry of the bank, turned at random.

    Args:
        taus: taus as generated, undecayed.
        bank: decays at rest.
        rng: source of randomness.
    Returns:
        decay products in the laboratory (neutrinos included), `event` as of their tau; and the
        true taus, in the order of `taus`.
    """
    n_bank = len(bank.prongs)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(bank.products.event, minlength=n_bank))])
    chosen = rng.integers(n_bank, size=len(taus))
    counts = np.diff(bounds)[chosen]
    tau = np.repeat(np.arange(len(taus)), counts)
    within = np.arange(len(tau)) - np.repeat(np.cumsum(counts) - counts, counts)
    source = bank.products.take(bounds[chosen][tau] + within)
    rotation = random_rotations(len(taus), rng=rng)[tau]
    momentum = _turn(rotation, source.px, source.py, source.pz)
    place = _turn(rotation, source.vx, source.vy, source.vz)
    mass = MASS_GEV["tau"]
    beta_gamma = np.stack([taus.px, taus.py, taus.pz]) / mass
    flight = beta_gamma * rng.exponential(PROPER_LENGTH_MM, size=len(taus))
    px, py, pz, e = boost(momentum, source.e, beta_gamma[:, tau])
    # Only what neutral kaons decay to starts away from the tau's own vertex; they are taken to
    # fly at the speed of light.
    vx, vy, vz, _ = boost(place, np.linalg.norm(place, axis=0), beta_gamma[:, tau])
    start = np.stack([taus.vx, taus.vy, taus.vz]) + flight
    # The bank holds tau-: turn charges round for tau+, except of what is its own antiparticle.
    own_antiparticle = np.isin(source.pdg, (22, 111, 130, 310))
    flip = (taus.pdg[tau] < 0) & ~own_antiparticle
    products = Particles(
        taus.event[tau], np.where(flip, -source.pdg, source.pdg), px, py, pz, e,
        vx + start[0, tau], vy + start[1, tau], vz + start[2, tau],
    )  # fmt: skip
    return products, visible_taus(products, tau, taus.event, bank.prongs[chosen],
                                  bank.neutrals[chosen])  # fmt: skip


def visible_taus(
    products: Particles, tau: Array, event: Array, prongs: Array, neutrals: Array
) -> Taus:
    """Sum the visible products of each tau; `tau` is the number of the tau of each product."""
    seen = products.visible
    sums = {
        name: total(getattr(products, name) * seen, tau, len(event))
        for name in ("px", "py", "pz", "e")
    }
    return Taus(event=event, **sums, prongs=prongs, neutrals=neutrals)


def random_rotations(n: int, *, rng: np.random.Generator) -> Array:
    """Return `n` rotation matrices, uniform over all rotations (Shoemake's quaternions)."""
    q = rng.standard_normal((n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _turn(rotation: Array, x: Array, y: Array, z: Array) -> Array:
    turned: Array = np.einsum("nij,jn->in", rotation, np.stack([x, y, z]))
    return turned


def boost(vector: Array, time: Array, beta_gamma: Array) -> tuple[Array, Array, Array, Array]:
    """Boost four-vectors from a rest frame to one where it moves with `beta_gamma`.

    Args:
        vector: space part, (3, n). time: time part, (n,). beta_gamma: momentum / mass, (3, n).
    Returns:
        x, y, z and time parts, (n,) each.
    """
    gamma = np.sqrt(1 + np.sum(beta_gamma**2, axis=0))
    along = np.sum(beta_gamma * vector, axis=0)
    x, y, z = vector + beta_gamma * (along / (gamma + 1) + time)
    return x, y, z, gamma * time + along
