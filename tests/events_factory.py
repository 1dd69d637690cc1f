"""Small trees of events for tests: taus with jets, tracks and true taus, written with uproot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from tests.ntuples_factory import write

TRACKS, TRUTH, OTHER = 101, 202, 303
"""`m_persKey` of the collections that links lead to."""

LAYOUT: dict[str, Any] = {
    "type": "events",
    "candidates": "Tau_",
    "objects": {
        "jet": {"collection": "Jet_", "index": "Tau_jetIdx", "unmatched": -1},
        "near": {"collection": "Track_", "cone": 0.4},
        "gen": {"collection": "Gen_", "nearest": 0.3},
        "truth": {
            "collection": "Gen_",
            "links": ["Tau_truthLink"],
            "keys": [TRUTH],
        },
        "through": {
            "collection": "Track_",
            "links": ["Tau_truthLink", "Gen_trackLink"],
            "keys": [TRUTH, TRACKS],
        },
    },
}


def events(count: int, *, seed: int = 1, first_event: int = 0) -> dict[str, Any]:
    """Return columns of events, some of them without any candidate."""
    rng = np.random.default_rng(seed)
    taus, jets, tracks, gens = (rng.integers(0, most, count) for most in (4, 5, 9, 4))

    def lists(values: Any, counts: Any) -> Any:
        return ak.unflatten(np.asarray(values), counts)

    def directions(name: str, counts: Any) -> dict[str, Any]:
        total = int(counts.sum())
        phi = rng.choice([-3.1, 3.1], total) + rng.normal(0, 0.2, total)
        phi = (phi + np.pi) % (2 * np.pi) - np.pi
        return {
            f"{name}_eta": lists(rng.normal(0, 0.3, total).astype(np.float32), counts),
            f"{name}_phi": lists(phi.astype(np.float32), counts),
            f"{name}_pt": lists((20 + rng.exponential(20, total)).astype(np.float32), counts),
        }

    def link(name: str, counts: Any, into: Any, key: int) -> dict[str, Any]:
        total = int(counts.sum())
        held = np.repeat(into, counts)
        keys = rng.choice([0, OTHER, key, key, key], total).astype(np.uint32)
        keys[held == 0] = 0
        index = np.where(keys == key, rng.integers(0, np.maximum(held, 1)), 0).astype(np.uint32)
        return {
            f"{name}.m_persKey": lists(keys, counts),
            f"{name}.m_persIndex": lists(index, counts),
        }

    of_jet = np.repeat(jets, taus)
    return {
        "event": first_event + np.arange(count, dtype=np.int64),
        "weight": rng.uniform(0.5, 1.5, count).astype(np.float32),
        "weights": lists(rng.uniform(0.5, 1.5, 2 * count), np.full(count, 2)),
        **directions("Tau", taus),
        "Tau_jetIdx": lists(rng.integers(-1, of_jet).astype(np.int32), taus),
        **link("Tau_truthLink", taus, gens, TRUTH),
        **directions("Jet", jets),
        "Jet_flavour": lists(rng.integers(0, 6, int(jets.sum())).astype(np.uint8), jets),
        **directions("Track", tracks),
        **directions("Gen", gens),
        **link("Gen_trackLink", gens, tracks, TRACKS),
    }


def write_events(path: Path, content: dict[str, Any], *, baskets: int = 1) -> Path:
    """Write events to the tree `Events`."""
    return write(path, content, tree="Events", baskets=baskets)
