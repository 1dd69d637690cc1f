"""Cluster batches of events into anti-kT jets with FastJet; no other file imports FastJet."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import awkward as ak
import numpy as np

from tauopt.simulate.columns import Array, Table, offsets
from tauopt.simulate.generator import missing_extra


@dataclass(frozen=True)
class Jets(Table):
    """Jets ordered by event and descending transverse momentum, in GeV."""

    event: Array
    pt: Array
    eta: Array
    phi: Array


def fastjet_module() -> ModuleType:
    """Import fastjet.

    Raises:
        UsageError: the extra `demo` is not installed.
    """
    try:
        import fastjet
    except ImportError as error:
        raise missing_extra(error) from None
    module: ModuleType = fastjet
    return module


def _momenta(pt: Array, eta: Array, phi: Array, bounds: Array) -> ak.Array:
    """Return massless four-momenta, (event, var), with the objects of event i from bounds[i] on."""
    columns = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "E": pt * np.cosh(eta),
    }
    record = ak.contents.RecordArray(
        [ak.contents.NumpyArray(np.ascontiguousarray(c)) for c in columns.values()],
        list(columns),
        parameters={"__record__": "Momentum4D"},
    )
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(bounds), record))


def _cluster(momenta: ak.Array, radius: float):  # type: ignore[no-untyped-def]
    fastjet = fastjet_module()
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    return fastjet.ClusterSequence(momenta, definition)


def find_jets(
    pt: Array, eta: Array, phi: Array, event: Array, *, n_events: int, radius: float, min_pt: float
) -> Jets:
    """Cluster massless objects into anti-kT jets.

    Args:
        pt: transverse momenta of the objects in GeV, (object,).
        eta: pseudorapidities of the objects, (object,).
        phi: azimuthal angles of the objects in radians, (object,).
        event: ascending event numbers of the objects, (object,).
        n_events: events are 0 .. n_events - 1.
        radius: radius parameter of the jets.
        min_pt: smallest transverse momentum of a jet in GeV.
    Raises:
        UsageError: FastJet is not installed.
    """
    sequence = _cluster(_momenta(pt, eta, phi, offsets(event, n_events)), radius)
    jets = sequence.inclusive_jets(min_pt)
    px, py, pz = (ak.to_numpy(ak.flatten(jets[name])) for name in ("px", "py", "pz"))
    jet_pt = np.hypot(px, py)
    unordered = Jets(
        event=np.repeat(np.arange(n_events), ak.to_numpy(ak.num(jets, axis=1))),
        pt=jet_pt,
        eta=np.arcsinh(pz / jet_pt),
        phi=np.arctan2(py, px),
    )
    return unordered.take(np.lexsort((-unordered.pt, unordered.event)))


def find_members(
    pt: Array, eta: Array, phi: Array, event: Array, *, n_events: int, radius: float, min_pt: float
) -> Array:
    """Return the number of the jet that each object belongs to, (object,) int, -1 for none.

    Arguments and errors as of `find_jets`. Jets are numbered through the batch, ascending with
    the event.
    """
    bounds = offsets(event, n_events)
    sequence = _cluster(_momenta(pt, eta, phi, bounds), radius)
    members = sequence.constituent_index(min_pt)
    sizes = ak.num(members, axis=2)
    jet_sizes = ak.to_numpy(ak.flatten(sizes))
    jet_event = np.repeat(np.arange(n_events), ak.to_numpy(ak.num(sizes, axis=1)))
    jet = np.repeat(np.arange(len(jet_sizes)), jet_sizes)
    rows = ak.to_numpy(ak.flatten(members, axis=None)) + bounds[jet_event][jet]
    number = np.full(len(pt), -1)
    number[rows] = jet
    return number
