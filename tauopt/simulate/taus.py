"""True hadronic taus: decay products, decay mode and visible momentum.

With `TauDecays:mode` 0 and 5 taus are unpolarised, so their decays are isotropic: a decay at rest
may be rotated at random and boosted to any tau. Decays then come from a bank, made once a file,
whose entries are used about four times each in independent orientations; that is three times
faster than a new decay for each tau. With mode 1 (spin correlations) taus decay in their event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tauopt.errors import TauoptError
from tauopt.simulate.columns import Array, Table, pairs, total
from tauopt.simulate.generator import EventRecord, open_generator
from tauopt.simulate.particles import MASS_GEV, Particles

CLASSES = ("jet", "1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
"""`truth_class` is the index into these."""
PROPER_LENGTH_MM = 0.08703
"""c times the tau lifetime (PDG 2024)."""
BANK_BATCH = 20
"""Taus at rest that Pythia decays in one event."""


@dataclass(frozen=True)
class Taus(Table):
    """True taus: event, visible four-momentum in GeV, numbers of charged and neutral hadrons."""

    event: Array
    px: Array
    py: Array
    pz: Array
    e: Array
    prongs: Array
    """Number of charged pions and kaons, without those from decays of neutral kaons."""
    neutrals: Array
    """Number of neutral pions, without those from decays of neutral kaons."""

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
        """Index into `CLASSES`; -1 for other decays (five prongs)."""
        one_prong = np.minimum(1 + self.neutrals, 3)
        three_prong = np.where(self.neutrals > 0, 5, 4)
        return np.select([self.prongs == 1, self.prongs == 3], [one_prong, three_prong], default=-1)


@dataclass(frozen=True)
class Decays:
    """Tau decays: products ordered by tau, with its number as `event`; counts as in `Taus`."""

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
    # A tau that radiates a photon is the mother of a copy of itself: the last copy decays.
    copied = np.unique(mother[(pdg == 15) & (mother != np.arange(len(mother)))])
    copied = copied[pdg[copied] == 15]
    taus = np.setdiff1d(np.flatnonzero((pdg == 15) & ~record.final), copied)
    tau_number = np.full(len(pdg), -1)
    tau_number[taus] = np.arange(len(taus))
    # Step through the ancestors of all particles at once, until a decaying tau or the first one.
    from_kaon = np.isin(pdg, (130, 310, 311))
    ancestor = mother.copy()
    for _ in range(12):  # generations below a tau; a tau decay has at most 7
        is_tau = tau_number[ancestor] >= 0
        next_ancestor = mother[ancestor]
        if np.all(is_tau | (next_ancestor == ancestor)):
            break
        from_kaon |= ~is_tau & from_kaon[ancestor]
        ancestor = np.where(is_tau, ancestor, next_ancestor)
    tau = tau_number[ancestor]
    counted = (tau >= 0) & ~from_kaon
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
        n_decays: number of decays; rounded up to whole batches.
        mode: Pythia's `TauDecays:mode`, 0 or 5.
        seed: Pythia's seed.
    Raises:
        UsageError: Pythia is not installed.
        TauoptError: Pythia could not start, or did not decay the taus.
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
    for _ in range(100):  # attempts; Pythia may fail for an event
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
    """Decay each tau in flight, like a random entry of the bank in a random orientation.

    Args:
        taus: generated taus, not decayed.
        bank: decays at rest.
        rng: source of randomness.
    Returns:
        decay products in the laboratory (neutrinos included), with the event of their tau; and the
        true taus, in the order of `taus`.
    """
    n_bank = len(bank.prongs)
    chosen = rng.integers(n_bank, size=len(taus))
    tau, product = pairs(chosen, bank.products.event, n_bank)
    source = bank.products.take(product)
    rotation = random_rotations(len(taus), rng=rng)[tau]
    momentum = _rotate(rotation, source.px, source.py, source.pz)
    vertex = _rotate(rotation, source.vx, source.vy, source.vz)
    mass = MASS_GEV["tau"]
    beta_gamma = np.stack([taus.px, taus.py, taus.pz]) / mass
    flight = beta_gamma * rng.exponential(PROPER_LENGTH_MM, size=len(taus))
    px, py, pz, e = boost(momentum, source.e, beta_gamma[:, tau])
    # Only products of neutral kaons start away from the tau's decay vertex; the kaons are assumed
    # to fly at the speed of light, so that the time of their decay is its distance.
    vx, vy, vz, _ = boost(vertex, np.linalg.norm(vertex, axis=0), beta_gamma[:, tau])
    decay_vertex = np.stack([taus.vx, taus.vy, taus.vz]) + flight
    # The bank holds tau-. For tau+ the products are the antiparticles.
    own_antiparticle = np.isin(source.pdg, (22, 111, 130, 310))
    flip = (taus.pdg[tau] < 0) & ~own_antiparticle
    products = Particles(
        taus.event[tau], np.where(flip, -source.pdg, source.pdg), px, py, pz, e,
        vx + decay_vertex[0, tau], vy + decay_vertex[1, tau], vz + decay_vertex[2, tau],
    )  # fmt: skip
    return products, visible_taus(products, tau, taus.event, bank.prongs[chosen],
                                  bank.neutrals[chosen])  # fmt: skip


def visible_taus(
    products: Particles, tau: Array, event: Array, prongs: Array, neutrals: Array
) -> Taus:
    """Sum the visible products of each tau.

    `tau` is the number of the tau of each product, (product,); `event`, `prongs` and `neutrals` are
    those of each tau, (tau,).
    """
    visible = products.visible
    sums = {
        name: total(getattr(products, name) * visible, tau, len(event))
        for name in ("px", "py", "pz", "e")
    }
    return Taus(event=event, **sums, prongs=prongs, neutrals=neutrals)


def random_rotations(n: int, *, rng: np.random.Generator) -> Array:
    """Return `n` rotation matrices (n, 3, 3), uniform in SO(3) (Shoemake's quaternions)."""
    q = rng.standard_normal((n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _rotate(rotation: Array, x: Array, y: Array, z: Array) -> Array:
    """Rotate vectors by matrices (n, 3, 3); returns (3, n)."""
    rotated: Array = np.einsum("nij,jn->in", rotation, np.stack([x, y, z]))
    return rotated


def boost(vector: Array, time: Array, beta_gamma: Array) -> tuple[Array, Array, Array, Array]:
    """Boost four-vectors from a rest frame to a frame in which it moves with `beta_gamma`.

    Args:
        vector: space components, (3, n).
        time: time component, (n,).
        beta_gamma: momentum over mass of the rest frame, (3, n).
    Returns:
        x, y, z and time components, (n,) each.
    """
    gamma = np.sqrt(1 + np.sum(beta_gamma**2, axis=0))
    along = np.sum(beta_gamma * vector, axis=0)
    x, y, z = vector + beta_gamma * (along / (gamma + 1) + time)
    return x, y, z, gamma * time + along
