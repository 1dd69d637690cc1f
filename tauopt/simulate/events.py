"""Batches of gamma*/Z -> tau tau and dijet events: final-state particles and true taus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tauopt.simulate.columns import Array
from tauopt.simulate.generator import EventRecord, cross_section_pb, generate, open_generator
from tauopt.simulate.particles import Particles
from tauopt.simulate.sample_plan import FilePlan
from tauopt.simulate.taus import Decays, Taus, decay_bank, draw_decays, tau_decays, visible_taus

BANK_REUSE = 8
"""Largest mean number of times that a decay in the bank is used."""
RECOIL_GEV = 8.0
"""Width of each transverse momentum component of gamma*/Z."""
BIAS_POWER = 3.5
"""Dijets are sampled with this power of pT-hat and weighted back, so that slices fall like taus."""
SPIN_CORRELATIONS = 1
"""`TauDecays:mode` with spin correlations: taus decay inside their event."""


@dataclass(frozen=True)
class EventBatch:
    """A batch of events.

    Attributes:
        particles: visible central particles, ordered by event.
        taus: true taus, ordered by event.
        weight: weight of each event, (event,).
    """

    particles: Particles
    taus: Taus
    weight: Array


@dataclass(frozen=True)
class EventSource:
    """Generator of a file's events, without end.

    Attributes:
        next_batch: number of events -> the next events.
        cross_section_pb: returns the estimate from the events generated so far.
    """

    next_batch: Callable[[int], EventBatch]
    cross_section_pb: Callable[[], float]


def open_source(plan: FilePlan, *, rng: np.random.Generator) -> EventSource:
    """Start the event generator of a file.

    Args:
        plan: slice, seeds and tau decays of the file.
        rng: source of randomness for decays that are drawn from a bank.
    Raises:
        UsageError: Pythia is not installed.
        TauoptError: Pythia could not start.
    """
    seed, bank_seed, _ = plan.seeds()
    is_tautau = plan.slice.process == "gammatautau"
    pythia = open_generator(_tau_settings(plan) if is_tautau else _dijet_settings(plan), seed=seed)
    if is_tautau and plan.tau_decays != SPIN_CORRELATIONS:
        n_decays = int(2.0 * plan.candidates / BANK_REUSE) + 1  # two taus an event
        bank = decay_bank(n_decays, mode=plan.tau_decays, seed=bank_seed)
        next_batch = lambda n: _decay_by_bank(generate(pythia, n), bank, rng=rng)  # noqa: E731
    else:
        next_batch = lambda n: _decayed_by_pythia(generate(pythia, n))  # noqa: E731
    return EventSource(next_batch, lambda: cross_section_pb(pythia))


def _tau_settings(plan: FilePlan) -> list[str]:
    lines = [
        "WeakSingleBoson:ffbar2gmZ = on",
        "23:onMode = off",
        "23:onIfAny = 15",
        f"PhaseSpace:mHatMin = {plan.slice.low}",
        f"PhaseSpace:mHatMax = {plan.slice.high}",
        f"BeamRemnants:primordialKThard = {RECOIL_GEV}",
        # Only the taus are reconstructed, so the other partons are not hadronised.
        "HadronLevel:Hadronize = off",
        f"TauDecays:mode = {plan.tau_decays}",
    ]
    return lines if plan.tau_decays == SPIN_CORRELATIONS else [*lines, "15:mayDecay = off"]


def _dijet_settings(plan: FilePlan) -> list[str]:
    return [
        "HardQCD:all = on",
        f"PhaseSpace:pTHatMin = {plan.slice.low}",
        f"PhaseSpace:pTHatMax = {plan.slice.high}",
        "PhaseSpace:bias2Selection = on",
        f"PhaseSpace:bias2SelectionPow = {BIAS_POWER}",
        f"PhaseSpace:bias2SelectionRef = {plan.slice.low}",
        # Ending the parton shower at the default 0.5 GeV takes a fifth more time and changes the
        # number of charged hadrons by 1 %.
        "TimeShower:pTmin = 0.8",
        # Taus from heavy flavour are vetoed, for which the simplest decays are enough.
        "TauDecays:mode = 0",
    ]


def _decay_by_bank(record: EventRecord, bank: Decays, *, rng: np.random.Generator) -> EventBatch:
    pdg = np.abs(record.particles.pdg)
    products, taus = draw_decays(record.particles.take(record.final & (pdg == 15)), bank, rng=rng)
    photons = record.particles.take(record.final & (pdg == 22))
    return _batch(Particles.join([products, photons]), taus, record)


def _decayed_by_pythia(record: EventRecord) -> EventBatch:
    has_tau = np.zeros(record.n_events, dtype=bool)
    has_tau[record.particles.event[np.abs(record.particles.pdg) == 15]] = True
    tau_record = record.take(has_tau[record.particles.event])
    rows, decays = tau_decays(tau_record)
    products, event = decays.products, tau_record.particles.event[rows]
    taus = visible_taus(products, products.event, event, decays.prongs, decays.neutrals)
    # Quarks, gluons and diquarks are final in events that are not hadronised.
    code = np.abs(record.particles.pdg)
    is_parton = (code <= 6) | (code == 21) | ((code > 1000) & (code // 10 % 10 == 0))
    return _batch(record.particles.take(record.final & ~is_parton), taus, record)


def _batch(particles: Particles, taus: Taus, record: EventRecord) -> EventBatch:
    return EventBatch(
        particles.take(particles.visible),
        taus.take(np.argsort(taus.event, kind="stable")),
        record.weight,
    )
