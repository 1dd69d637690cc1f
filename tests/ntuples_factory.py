"""Small ntuples for tests: flat candidates with jagged tracks, in every format that is read."""

from __future__ import annotations

import pickle
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


def write_trees(path: Path, **trees: dict[str, Any]) -> Path:
    """Write several TTrees into one file."""
    import uproot

    with uproot.recreate(path) as file:
        for tree, content in trees.items():
            file.mktree(tree, {name: _type(values) for name, values in content.items()})
            file[tree].extend(content)
    return path


def write_rntuple(
    path: Path, content: dict[str, Any], *, parts: int = 1, name: str = "candidates"
) -> Path:
    """Write columns to an RNTuple, in some clusters."""
    import uproot

    table = ak.zip(content, depth_limit=1)
    edges = np.linspace(0, len(table), parts + 1).astype(int)
    with uproot.recreate(path) as file:
        file.mkrntuple(name, table[: edges[1]])
        for start, stop in pairwise(edges[1:]):
            file[name].extend(table[start:stop])
    return path


def _type(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return (values.dtype, values.shape[1:]) if values.ndim > 1 else values.dtype
    return f"var * {ak.flatten(values).layout.dtype}"


def write_structured(path: Path, content: dict[str, Any], *, parts: int = 1) -> Path:
    """Write columns to HDF5 as salt and UPP do: `jets`, and padded `tracks` with `valid`."""
    import h5py

    flat, lists = _split(content)
    with h5py.File(path, "w") as file:
        jets = np.rec.fromarrays(list(flat.values()), names=list(flat))
        options = {"chunks": (max(1, len(jets) // parts),), "compression": "gzip", "shuffle": True}
        file.create_dataset("jets", data=jets, **(options if len(jets) else {}))
        if lists:
            padded, valid = _pad(lists)
            kinds = [(name, values.dtype) for name, values in padded.items()]
            tracks = np.zeros(valid.shape, dtype=[*kinds, ("valid", bool)])
            for name, values in padded.items():
                tracks[name] = np.where(valid, values, 7)  # padding holds anything
            tracks["valid"] = valid
            file.create_dataset("tracks", data=tracks, compression="gzip" if len(jets) else None)
    return path


def write_variables(path: Path, content: dict[str, Any], *, parts: int = 1) -> Path:
    """Write columns to HDF5 as rnn-tauid does: a dataset a variable, padded with NaN."""
    import h5py

    flat, lists = _split(content)
    with h5py.File(path, "w") as file:
        for name, values in flat.items():
            chunks = (max(1, len(values) // parts),) if len(values) else None
            file.create_dataset(f"TauJets/{name}", data=values, chunks=chunks)
        padded, valid = _pad(lists) if lists else ({}, None)
        for name, values in padded.items():
            data = np.where(valid, values, np.nan).astype(values.dtype)
            compression = "gzip" if len(values) else None
            file.create_dataset(f"TauTracks/{name}", data=data, compression=compression)
    return path


def write_parquet(path: Path, content: dict[str, Any], *, parts: int = 1) -> Path:
    """Write columns to Parquet as awkward does, in some row groups."""
    rows = len(next(iter(content.values())))
    ak.to_parquet(ak.zip(content, depth_limit=1), path, row_group_size=max(1, rows // parts))
    return path


def write_feather(path: Path, content: dict[str, Any], *, parts: int = 1) -> Path:
    """Write columns to Feather as awkward does, in some batches."""
    rows = len(next(iter(content.values())))
    ak.to_feather(ak.zip(content, depth_limit=1), path, chunksize=max(1, rows // parts))
    return path


def write_pandas_table(path: Path, content: dict[str, Any]) -> Path:
    """Write scalars to HDF5 as `DataFrame.to_hdf(format="table")` does through PyTables."""
    import h5py

    flat, _ = _split(content)
    kinds: dict[Any, list[str]] = {}
    for name, values in flat.items():
        kinds.setdefault(values.dtype, []).append(name)
    rows = len(next(iter(flat.values())))
    fields = [("index", np.int64)]
    fields += [(f"values_block_{i}", k, (len(n),)) for i, (k, n) in enumerate(kinds.items())]
    table = np.zeros(rows, dtype=fields)
    for i, names in enumerate(kinds.values()):
        table[f"values_block_{i}"] = np.stack([flat[name] for name in names], axis=1)
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        stored = group.create_dataset("table", data=table, chunks=(rows // 3,) if rows else None)
        for i, names in enumerate(kinds.values()):
            stored.attrs[f"values_block_{i}_kind"] = np.bytes_(pickle.dumps(names, protocol=0))
    return path


def write_pandas_fixed(path: Path, content: dict[str, Any]) -> Path:
    """Write scalars to HDF5 as `DataFrame.to_hdf(format="fixed")` does."""
    import h5py

    flat, _ = _split(content)
    kinds: dict[Any, list[str]] = {}
    for name, values in flat.items():
        kinds.setdefault(values.dtype, []).append(name)
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_("frame")
        group.attrs["nblocks"] = len(kinds)
        group["axis0"] = np.array([name.encode() for name in flat])
        group["axis1"] = np.arange(len(next(iter(flat.values()))))
        for i, names in enumerate(kinds.values()):
            group[f"block{i}_items"] = np.array([name.encode() for name in names])
            group[f"block{i}_values"] = np.stack([flat[name] for name in names], axis=1)
    return path


def _split(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scalar columns and the jagged ones."""
    flat = {name: v for name, v in content.items() if isinstance(v, np.ndarray) and v.ndim == 1}
    return flat, {name: v for name, v in content.items() if name not in flat}


def _pad(lists: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return padded values by name, and which of them are real, both (candidate, slot)."""
    counts = ak.to_numpy(ak.num(next(iter(lists.values()))))
    valid = np.arange(max(1, counts.max(initial=0))) < counts[:, None]
    padded = {}
    for name, values in lists.items():
        flat = ak.to_numpy(ak.flatten(values))
        padded[name] = np.zeros(valid.shape, dtype=flat.dtype)
        padded[name][valid] = flat
    return padded, valid


def dataset_settings(folder: Path | str, *, suffix: str = "root", **changes: Any) -> dict[str, Any]:
    """Return the settings of a dataset over `<folder>/*.root`; `changes` replace whole keys."""
    settings: dict[str, Any] = {
        "name": "toy",
        "samples": {
            "all": {
                "files": [f"{folder}/*.{suffix}"],
                "weight": "weight",
                "classes": ["jet", "tau"],
            }
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
    from tauopt.config.settings.dataset import Dataset

    return Dataset.model_validate(dataset_settings(folder, **changes))
