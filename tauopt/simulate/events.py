"""Events of the two processes, as what a detector sees of them and what is true in them."""

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
"""How often a decay of the bank is used in the mean, at most."""
RECOIL_GEV = 8.0
"""Width of each transverse component of the momentum of gamma*/Z."""
BIAS_POWER = 3.5
"""Dijets are sampled with pT-hat to this power and weighted back, so that slices fall like taus."""
SPIN = 1
"""`TauDecays:mode` with spin correlations: taus decay inside their event."""


@dataclass(frozen=True)
class EventBatch:
    """Some events: visible central particles, true taus ordered by event, a weight an event."""

    particles: Particles
    taus: Taus
    weight: Array


@dataclass(frozen=True)
class EventSource:
    """An endless supply of a file's events."""

    next_batch: Callable[[int], EventBatch]
    """Makes a number of events."""
    cross_section_pb: Callable[[], float]
    """The present estimate from the events made so far."""


def open_source(plan: FilePlan, *, rng: np.random.Generator) -> EventSource:
    """Start the generator of a file.

    Raises:
        UsageError: Pythia is not installed.
        TauoptError: Pythia could not start.
    """
    seed, bank_seed, _ = plan.seeds()
    taus = plan.slice.process == "gammatautau"
    pythia = open_generator(_tau_lines(plan) if taus else _dijet_lines(plan), seed=seed)
    if taus and plan.tau_decays != SPIN:
        n_decays = int(2.0 * plan.candidates / BANK_REUSE) + 1
        bank = decay_bank(n_decays, mode=plan.tau_decays, seed=bank_seed)
        next_batch = lambda n: _decay_by_bank(generate(pythia, n), bank, rng=rng)  # noqa: E731
    else:
        next_batch = lambda n: _as_decayed(generate(pythia, n))  # noqa: E731
    return EventSource(next_batch, lambda: cross_section_pb(pythia))


def _tau_lines(plan: FilePlan) -> list[str]:
    lines = [
        "WeakSingleBoson:ffbar2gmZ = on",
        "23:onMode = off",
        "23:onIfAny = 15",
        f"PhaseSpace:mHatMin = {plan.slice.low}",
        f"PhaseSpace:mHatMax = {plan.slice.high}",
        f"BeamRemnants:primordialKThard = {RECOIL_GEV}",
        # Of these events only the taus are reconstructed: the rest stays partons.
        "HadronLevel:Hadronize = off",
        f"TauDecays:mode = {plan.tau_decays}",
    ]
    return lines if plan.tau_decays == SPIN else [*lines, "15:mayDecay = off"]


def _dijet_lines(plan: FilePlan) -> list[str]:
    return [
        "HardQCD:all = on",
        f"PhaseSpace:pTHatMin = {plan.slice.low}",
        f"PhaseSpace:pTHatMax = {plan.slice.high}",
        "PhaseSpace:bias2Selection = on",
        f"PhaseSpace:bias2SelectionPow = {BIAS_POWER}",
        f"PhaseSpace:bias2SelectionRef = {plan.slice.low}",
        # The shower's end at 0.5 GeV costs a fifth more time and changes the number of charged
        # hadrons by 1 %.
        "TimeShower:pTmin = 0.8",
        # Taus from heavy flavour; a decay of the simplest kind is enough to veto them.
        "TauDecays:mode = 0",
    ]


def _decay_by_bank(record: EventRecord, bank: Decays, *, rng: np.random.Generator) -> EventBatch:
    pdg = np.abs(record.particles.pdg)
    products, taus = draw_decays(record.particles.take(record.final & (pdg == 15)), bank, rng=rng)
    photons = record.particles.take(record.final & (pdg == 22))
    return _batch(Particles.join([products, photons]), taus, record)


def _as_decayed(record: EventRecord) -> EventBatch:
    with_taus = np.zeros(record.n_events, dtype=bool)
    with_taus[record.particles.event[np.abs(record.particles.pdg) == 15]] = True
    few = record.take(with_taus[record.particles.event])
    rows, decays = tau_decays(few)
    products, event = decays.products, few.particles.event[rows]
    taus = visible_taus(products, products.event, event, decays.prongs, decays.neutrals)
    return _batch(record.particles.take(record.final & ~_is_parton(record)), taus, record)


def _is_parton(record: EventRecord) -> Array:
    """Tell the quarks, gluons and diquarks that end an event whose hadrons are not wanted."""
    code = np.abs(record.particles.pdg)
    parton: Array = (code <= 6) | (code == 21) | ((code > 1000) & (code // 10 % 10 == 0))
    return parton


def _batch(particles: Particles, taus: Taus, record: EventRecord) -> EventBatch:
    return EventBatch(
        particles.take(particles.visible),
        taus.take(np.argsort(taus.event, kind="stable")),
        record.weight,
    )
