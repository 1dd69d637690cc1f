"""Generate events with Pythia 8, in batches, as flat arrays; no other file imports Pythia."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np

from tauopt.errors import TauoptError, UsageError
from tauopt.simulate.columns import Array
from tauopt.simulate.particles import Particles

COMMON = (
    "Print:quiet = on",
    "Random:setSeed = on",
    "Beams:eCM = 13000.",
    # Multi-parton interactions and initial-state radiation would take 3 to 10 times as long. In a
    # candidate's cone they are soft, and `pileup.py` overlays them; the recoil of gamma*/Z comes
    # from a wide primordial transverse momentum.
    "PartonLevel:MPI = off",
    "PartonLevel:ISR = off",
    "Check:event = off",
    # Long-lived particles decay within the tracker; those that fly further reach the calorimeter
    # undecayed.
    "ParticleDecays:limitCylinder = on",
    "ParticleDecays:xyMax = 1000.",
    "ParticleDecays:zMax = 3000.",
    *(f"{code}:mayDecay = off" for code in (13, 211, 321, 130, 2112)),
    "15:offIfAny = 11 13",
)
MAX_ETA = 3.2
"""Particles beyond this |eta| do not come near a candidate."""


@dataclass(frozen=True)
class EventRecord:
    """Particles of a batch: all particles of events with taus, else the central final ones.

    Attributes:
        n_events: events of the batch.
        particles: (row,), flat over the batch.
        final: True for the last generation, (row,) bool.
        mother: row of the first mother, or the row itself where there is none; correct in events
            with taus only.
        weight: weight of each event, (event,).
    """

    n_events: int
    particles: Particles
    final: Array
    mother: Array
    weight: Array

    def take(self, kept: Array) -> EventRecord:
        """Return whole events, whose rows a mask selects; event numbers do not change."""
        new_row = np.cumsum(kept) - 1
        return EventRecord(
            self.n_events,
            self.particles.take(kept),
            self.final[kept],
            new_row[self.mother[kept]],
            self.weight,
        )


def pythia_module() -> ModuleType:
    """Import pythia8mc.

    Raises:
        UsageError: the extra `demo` is not installed.
    """
    try:
        import pythia8mc
    except ImportError as error:
        raise missing_extra(error) from None
    module: ModuleType = pythia8mc
    return module


def missing_extra(error: ImportError) -> UsageError:
    """Return the error of a failed import, with the line that installs the library."""
    return UsageError(
        f"simulating needs Pythia 8 and FastJet ({error}); install them with: "
        "pip install 'tauopt[demo]'"
    )


def open_generator(settings: Sequence[str], *, seed: int) -> Any:
    """Return an initialised Pythia object.

    Args:
        settings: Pythia settings, `name = value`, in addition to `COMMON`.
        seed: random seed, 1 to 900,000,000.
    Raises:
        UsageError: Pythia is not installed.
        TauoptError: Pythia refused a setting or could not start.
    """
    pythia = pythia_module().Pythia("", False)
    for line in (*COMMON, f"Random:seed = {seed}", *settings):
        if not pythia.readString(line):
            raise TauoptError(f"Pythia refused the setting {line!r}")
    if not pythia.init():
        raise TauoptError(f"Pythia could not start with the settings {', '.join(settings)}")
    return pythia


def generate(pythia: Any, n_events: int) -> EventRecord:
    """Return the next `n_events` events as flat arrays.

    Raises:
        TauoptError: Pythia gave up before the batch was full.
    """
    batch = pythia.nextBatch(n_events)
    if len(batch) != n_events:
        raise TauoptError(f"Pythia generated {len(batch)} of {n_events} events and gave up")
    counts = ak.to_numpy(ak.num(batch.prt, axis=1))
    rows = ak.flatten(batch.prt, axis=1)
    event = np.repeat(np.arange(n_events), counts)
    first_row = np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.flatnonzero(_is_kept(rows, event, n_events))
    new_row = np.zeros(len(event), dtype=np.int64)
    new_row[kept] = np.arange(len(kept))
    mother = ak.to_numpy(rows.mother1)[kept]
    return EventRecord(
        n_events=n_events,
        particles=Particles(
            event=event[kept],
            pdg=ak.to_numpy(rows.id)[kept],
            **{name: ak.to_numpy(rows.p[name])[kept] for name in ("px", "py", "pz", "e")},
            # Particles without a production vertex start at the origin.
            **{f"v{x}": ak.to_numpy(ak.fill_none(rows.vProd[f"p{x}"][kept], 0.0)) for x in "xyz"},
        ),
        final=ak.to_numpy(rows.status)[kept] > 0,
        # In Pythia's record, row 0 of an event is the event as a whole: mother 0 means none.
        mother=np.where(mother == 0, np.arange(len(kept)), new_row[mother + first_row[kept]]),
        weight=ak.to_numpy(batch.info.weights[:, 0]),
    )


def _is_kept(rows: ak.Array, event: Array, n_events: int) -> Array:
    """Select all rows of events with taus, and the central final particles of other events."""
    momentum = rows.p
    pt = np.hypot(ak.to_numpy(momentum.px), ak.to_numpy(momentum.py))
    is_central = np.abs(ak.to_numpy(momentum.pz)) < np.sinh(MAX_ETA) * pt
    has_tau = np.zeros(n_events, dtype=bool)
    has_tau[event[np.abs(ak.to_numpy(rows.id)) == 15]] = True
    is_kept: Array = has_tau[event] | (is_central & (ak.to_numpy(rows.status) > 0))
    return is_kept


def cross_section_pb(pythia: Any) -> float:
    """Return the cross-section in pb, estimated from the events generated so far."""
    return float(pythia.infoPython().sigmaGen()) * 1e9  # Pythia's unit is mb
