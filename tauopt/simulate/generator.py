"""The door to Pythia 8: events in batches, as flat arrays.

Initial-state radiation and multi-parton interactions would cost a factor of 3 to 10 in time.
What a candidate's cone sees of them is soft, and `soft.py` overlays it; the recoil of gamma*/Z
comes from a wide primordial transverse momentum.
"""

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
    "PartonLevel:MPI = off",
    "PartonLevel:ISR = off",
    "Check:event = off",
    # Long-lived particles decay where the tracker can see it; what flies further meets the
    # calorimeter whole.
    "ParticleDecays:limitCylinder = on",
    "ParticleDecays:xyMax = 1000.",
    "ParticleDecays:zMax = 3000.",
    *(f"{code}:mayDecay = off" for code in (13, 211, 321, 130, 2112)),
    "15:offIfAny = 11 13",
)
MAX_ETA = 3.2
"""Particles beyond do not come near a candidate."""


@dataclass(frozen=True)
class EventRecord:
    """Particles of a batch: all of events with taus, the central final ones of the others.

    `particles` are flat over the batch; `final` marks the last generation; `mother` is the row of
    the first mother, and the row itself where there is none (in events with taus).
    """

    n_events: int
    particles: Particles
    final: Array
    mother: Array
    weight: Array
    """Weight of each event, (event,)."""

    def take(self, kept: Array) -> EventRecord:
        """Return the rows of whole events that a mask keeps; event numbers stay."""
        place = np.cumsum(kept) - 1
        return EventRecord(
            self.n_events,
            self.particles.take(kept),
            self.final[kept],
            place[self.mother[kept]],
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
    """Say which line installs what a failed import wanted."""
    return UsageError(
        f"simulating needs Pythia 8 and FastJet ({error}); install them with: "
        "pip install 'tauopt[demo]'"
    )


def open_generator(settings: Sequence[str], *, seed: int) -> Any:
    """Return an initialised Pythia object.

    Args:
        settings: lines as Pythia reads them; added to `COMMON`.
        seed: 1 to 900,000,000.
    Raises:
        TauoptError: Pythia refused a setting or could not start.
    """
    pythia = pythia_module().Pythia("", False)
    for line in (*COMMON, f"Random:seed = {seed}", *settings):
        if not pythia.readString(line):
            raise TauoptError(f"Pythia refused the setting {line!r}")
    if not pythia.init():
        raise TauoptError(f"Pythia could not start with {', '.join(settings)}")
    return pythia


def generate(pythia: Any, n_events: int) -> EventRecord:
    """Return the next `n_events` events as flat arrays.

    Raises:
        TauoptError: Pythia gave up before the batch was full.
    """
    batch = pythia.nextBatch(n_events)
    if len(batch) != n_events:
        raise TauoptError(f"Pythia made {len(batch)} of {n_events} events and gave up")
    counts = ak.to_numpy(ak.num(batch.prt, axis=1))
    rows = ak.flatten(batch.prt, axis=1)
    event = np.repeat(np.arange(n_events), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.flatnonzero(_wanted(rows, event, n_events))
    place = np.zeros(len(event), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    mother = ak.to_numpy(rows.mother1)[kept]
    return EventRecord(
        n_events=n_events,
        particles=Particles(
            event=event[kept],
            pdg=ak.to_numpy(rows.id)[kept],
            **{name: ak.to_numpy(rows.p[name])[kept] for name in ("px", "py", "pz", "e")},
            # Particles without a vertex of their own start at the origin.
            **{f"v{x}": ak.to_numpy(ak.fill_none(rows.vProd[f"p{x}"][kept], 0.0)) for x in "xyz"},
        ),
        final=ak.to_numpy(rows.status)[kept] > 0,
        # Row 0 of an event is the event as a whole and nobody's mother.
        mother=np.where(mother == 0, np.arange(len(kept)), place[mother + first[kept]]),
        weight=ak.to_numpy(batch.info.weights[:, 0]),
    )


def _wanted(rows: ak.Array, event: Array, n_events: int) -> Array:
    """Tell which rows are kept: those of events with taus, and central final ones."""
    momentum = rows.p
    pt = np.hypot(ak.to_numpy(momentum.px), ak.to_numpy(momentum.py))
    central = np.abs(ak.to_numpy(momentum.pz)) < np.sinh(MAX_ETA) * pt
    with_tau = np.zeros(n_events, dtype=bool)
    with_tau[event[np.abs(ak.to_numpy(rows.id)) == 15]] = True
    wanted: Array = with_tau[event] | (central & (ak.to_numpy(rows.status) > 0))
    return wanted


def cross_section_pb(pythia: Any) -> float:
    """Return the cross-section in pb, as estimated from the events made so far."""
    return float(pythia.infoPython().sigmaGen()) * 1e9
