"""Small ntuples for tests: flat candidates with jagged tracks, written with uproot."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np


def columns(entries: int, *, seed: int = 1, tau: bool | None = None, first_event: int = 0) -> dict:
    """Return columns of candidates: `tau` makes all taus or all jets, None mixes them."""
    rng = np.random.default_rng(seed)
    is_tau = rng.integers(0, 2, entries) if tau is None else np.full(entries, int(tau))
    counts = rng.integers(0, 6, entries)
    objects = int(counts.sum())
    pt = (20_000 + rng.exponential(np.where(is_tau, 20_000, 30_000))).astype(np.float32)
    return {
        "event_number": first_event + np.arange(entries, dtype=np.int64),
        "is_tau": is_tau.astype(np.int32),
        "prongs": np.where(rng.random(entries) < 0.7, 1, 3).astype(np.uint8),
        "pt": pt,
        "eta": rng.uniform(-2.5, 2.5, entries).astype(np.float32),
        "weight": rng.uniform(0.5, 1.5, entries).astype(np.float32),
        "track_pt": ak.unflatten((1000 * (1 + rng.exponential(5, objects))).astype("f4"), counts),
        "track_d0": ak.unflatten(rng.normal(0, 0.1, objects).astype(np.float32), counts),
    }


def write(
    path: Path, content: dict[str, Any], *, tree: str = "candidates", baskets: int = 1
) -> Path:
    """Write columns (numpy or awkward) to a TTree, in some baskets a branch."""
    import uproot

    path.parent.mkdir(parents=True, exist_ok=True)
    entries = len(next(iter(content.values())))
    edges = np.linspace(0, entries, baskets + 1).astype(int)
    with uproot.recreate(path) as file:
        file.mktree(tree, {name: _type(values) for name, values in content.items()})
        if entries:
            for start, stop in pairwise(edges):
                file[tree].extend({name: v[start:stop] for name, v in content.items()})
    return path


def _type(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return (values.dtype, values.shape[1:]) if values.ndim > 1 else values.dtype
    return f"var * {ak.flatten(values).layout.dtype}"


def dataset_settings(folder: Path | str, **changes: Any) -> dict[str, Any]:
    """Return the settings of a dataset over `<folder>/*.root`; `changes` replace whole keys."""
    settings: dict[str, Any] = {
        "name": "toy",
        "samples": {
            "all": {"files": [f"{folder}/*.root"], "weight": "weight", "classes": ["jet", "tau"]}
        },
        "classes": {"jet": "!is_tau", "tau": "is_tau"},
        "split": {
            "train": "event_number % 10 < 6",
            "validation": "event_number % 10 == 6 || event_number % 10 == 7",
            "test": "event_number % 10 >= 8",
        },
        "candidate": {
            "log_pt": {"expression": "pt", "divide": 1000, "log10": True, "scale": "standard"},
            "eta": {"scale": "minmax"},
        },
        "groups": {
            "tracks": {
                "features": {
                    "pt": {
                        "expression": "track_pt",
                        "divide": 1000,
                        "log10": True,
                        "scale": "standard",
                    },
                    "d0": {"expression": "track_d0", "abs": True, "offset": 1e-6, "log10": True},
                    "pt_jet": {"expression": "pt", "divide": 1000},
                },
                "order_by": "track_pt",
            }
        },
        "spectators": {"pt": "pt", "prongs": "prongs"},
        "chunk_size": 100,
    }
    return {**settings, **changes}


def dataset(folder: Path | str, **changes: Any) -> Any:
    """Return the `Dataset` of `dataset_settings`."""
    from tauopt.config.dataset import Dataset

    return Dataset.model_validate(dataset_settings(folder, **changes))
