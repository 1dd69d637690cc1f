"""A prepared dataset, and the same candidates in a ROOT file, for the benchmarks of streaming.

420 bytes a ready candidate: 10 tracks of 5 features, 12 clusters of 4, and 7 of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from tauopt.config.settings.experiment import Task
from tauopt.config.settings.inputs import FittedFeature, FittedGroup, InputSpec, Transform
from tauopt.dataset.chunk_writer import chunk_name, write_chunk
from tauopt.dataset.manifest import Manifest, split_info, write_manifest
from tauopt.dataset.network_inputs import input_spec
from tauopt.dataset.prepared_dataset import PreparedDataset, open_dataset

CHUNK = 100_000
BASKET = 10_000
CLASSES = ("jet", "1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
FEATURES = {"candidate": 7, "tracks": 5, "clusters": 4}
LENGTHS = {"tracks": 10, "clusters": 12}
TASK = Task(classes={name: (name,) for name in CLASSES}, signal=CLASSES[1:])
BYTES = 4 * (7 + 10 * 5 + 12 * 4)
"""Of the float32 values of a ready candidate."""


def names(group: str) -> list[str]:
    """Return the features of a group, which are its branches too."""
    return [f"{group}_{i}" for i in range(FEATURES[group])]


def features(group: str) -> list[str]:
    """Return the features of a group as a network knows them; the last two say where objects are.

    They are random like the others: how long a network takes does not depend on it.
    """
    own = names(group)
    return own if group not in LENGTHS else [*own[:-2], "d_eta", "d_phi"]


def random_chunk(rng: np.random.Generator) -> dict[str, Any]:
    """Return the arguments of `write_chunk`, with jets and taus of different multiplicity."""
    labels = np.where(rng.random(CHUNK) < 0.5, 0, rng.integers(1, len(CLASSES), CHUNK))
    groups = {}
    for group in LENGTHS:
        counts = 1 + rng.poisson(np.where(labels == 0, 5.0, 2.5))
        values = rng.lognormal(size=(counts.sum(), FEATURES[group])).astype(np.float32)
        groups[group] = values, np.concatenate([[0], np.cumsum(counts)])
    return {
        "labels": labels,
        "weights": np.ones(CHUNK, np.float32),
        "event_numbers": np.arange(CHUNK),
        "candidate": rng.lognormal(size=(CHUNK, 7)).astype(np.float32),
        "groups": groups,
        "spectators": np.empty((CHUNK, 0), np.float32),
    }


def write_prepared(folder: Path, *, chunks: int) -> PreparedDataset:
    """Write `chunks` chunks of training candidates, and one of validation and of test."""
    rng = np.random.default_rng(1)
    splits = {}
    for split, count in {"train": chunks, "validation": 1, "test": 1}.items():
        infos = [
            write_chunk(folder, chunk_name(split, i), classes=CLASSES, **random_chunk(rng))
            for i in range(count)
        ]
        splits[split] = split_info(infos, classes=CLASSES)
    fitted = {
        group: FittedGroup(
            name=group,
            features=tuple(
                FittedFeature(name=name, transform=Transform(scale="standard"))
                for name in features(group)
            ),
        )
        for group in FEATURES
    }
    manifest = Manifest(
        name="benchmark",
        digest="0" * 64,
        classes=CLASSES,
        splits=splits,
        candidate=fitted["candidate"],
        groups=(fitted["tracks"], fitted["clusters"]),
        spectators=(),
    )
    write_manifest(folder, manifest)
    return open_dataset(folder)


def spec_of(dataset: PreparedDataset, lengths: Mapping[str, int] = LENGTHS) -> InputSpec:
    """Return what the benchmarks' networks see."""
    return input_spec(dataset.manifest, TASK, lengths)


def write_root(path: Path, chunk: dict[str, Any], *, compression: Any) -> None:
    """Write a chunk (`random_chunk`) as a flat ntuple."""
    branches: dict[str, Any] = {
        name: chunk["candidate"][:, i] for i, name in enumerate(names("candidate"))
    }
    branches |= {
        "label": chunk["labels"].astype(np.int16),
        "weight": chunk["weights"],
        "event_number": chunk["event_numbers"],
    }
    for group in LENGTHS:
        values, offsets = chunk["groups"][group]
        for i, name in enumerate(names(group)):
            layout = ak.contents.ListOffsetArray(
                ak.index.Index64(offsets),
                ak.contents.NumpyArray(np.ascontiguousarray(values[:, i])),
            )
            branches[name] = ak.Array(layout)
    with uproot.recreate(path, compression=compression) as file:
        file.mktree(
            "candidates", {name: ak.type(array).content for name, array in branches.items()}
        )
        for first in range(0, CHUNK, BASKET):  # files of ROOT have baskets of some ten kB
            piece = slice(first, first + BASKET)
            file["candidates"].extend({name: array[piece] for name, array in branches.items()})


def naive(
    path: Path, batch_size: int, *, stop: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Yield padded batches as one writes them at first."""
    for part in uproot.iterate(
        f"{path}:candidates", step_size=batch_size, entry_stop=stop, library="ak"
    ):
        inputs = {"candidate": np.stack([part[n].to_numpy() for n in names("candidate")], axis=1)}
        for group, length in LENGTHS.items():
            columns = []
            for name in names(group):
                padded = ak.pad_none(part[name], length, axis=1, clip=True)
                columns.append(ak.to_numpy(ak.fill_none(padded, np.float32(0))))
            inputs[group] = np.stack(columns, axis=-1)
            inputs[f"{group}_mask"] = np.arange(length) < ak.num(part[name]).to_numpy()[:, None]
        yield inputs, part["label"].to_numpy()


def rate(run: Callable[[], int]) -> tuple[float, float]:
    """Return candidates a second of processor time, and of the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    candidates = run()
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    return candidates / processor, candidates / clock
