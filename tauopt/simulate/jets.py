"""The door to FastJet: anti-kT jets of whole batches, with the members of each."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import awkward as ak
import numpy as np

from tauopt.simulate.columns import Array, Table, offsets
from tauopt.simulate.generator import missing_extra


@dataclass(frozen=True)
class Jets(Table):
    """Jets ordered by event and, within one, by descending transverse momentum."""

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
        pt, eta, phi: of the objects, GeV and radians, (object,).
        event: ascending event numbers of the objects, (object,).
        n_events: events are 0 .. n_events - 1.
        radius: the jets' radius parameter.
        min_pt: smallest transverse momentum of a jet, GeV.
    Raises:
        UsageError: FastJet is not installed.
    """
    sequence = _cluster(_momenta(pt, eta, phi, offsets(event, n_events)), radius)
    jets = sequence.inclusive_jets(min_pt)
    px, py, pz = (ak.to_numpy(ak.flatten(jets[name])) for name in ("px", "py", "pz"))
    jet_pt = np.hypot(px, py)
    found = Jets(
        np.repeat(np.arange(n_events), ak.to_numpy(ak.num(jets, axis=1))),
        jet_pt,
        np.arcsinh(pz / jet_pt),
        np.arctan2(py, px),
    )
    return found.take(np.lexsort((-found.pt, found.event)))


def find_members(
    pt: Array, eta: Array, phi: Array, event: Array, *, n_events: int, radius: float, min_pt: float
) -> Array:
    """Cluster as `find_jets` does, and return the number of the jet of each object, -1 for none.

    Jets are numbered through the batch, ascending with the event.
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
