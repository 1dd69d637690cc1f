"""How fast ready batches come straight from ROOT files, on one core and on two.

    python -m tests.benchmarks.bench_direct

Files are compressed with zstd. Compared in the same run with awkward's pad_none and fill_none on
large steps, its best case, not even shuffled. Medians of repeats by the clock (by processor
time, of all cores together); peak memory is that
of the process over what it holds before the first batch.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import uproot

from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.prepare.direct_streaming import open_dataset
from tauopt.prepare.prepare_dataset import prepare
from tauopt.stream.batches import batches
from tests.benchmarks.sample import (
    BYTES,
    CHUNK,
    CLASSES,
    LENGTHS,
    TASK,
    naive,
    names,
    random_chunk,
    rate,
    write_root,
)

FILES = 10
BATCH_SIZE = 1024
NAIVE_STEP = 50_000
REPEATS = 5


def settings(folder: Path) -> Dataset:
    """Describe the benchmark's ntuples; nine tenths are the training split."""
    return Dataset.model_validate(
        {
            "name": "benchmark",
            "samples": {
                "all": {"files": [f"{folder}/*.root"], "weight": "weight", "classes": CLASSES}
            },
            "classes": {name: f"label == {i}" for i, name in enumerate(CLASSES)},
            "split": {
                "train": "event_number % 20 < 18",
                "validation": "event_number % 20 == 18",
                "test": "event_number % 20 == 19",
            },
            "candidate": {name: {"scale": "standard"} for name in names("candidate")},
            "groups": {
                group: {"features": {name: {"scale": "standard"} for name in names(group)}}
                for group in LENGTHS
            },
            "stream": "direct",
        }
    )


def peak_mb() -> float:
    """Return the largest memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def told(what: str, speeds: list[tuple[float, float]]) -> float:
    """Print medians of speeds by the clock and by processor time; returns the former."""
    processor, clock = (statistics.median(column) / 1e6 for column in zip(*speeds, strict=True))
    print(f"{what}: {clock:.2f} ({processor:.2f}) M candidates/s", flush=True)
    return clock


def on(cores: Sequence[int], run: Callable[[], int]) -> tuple[float, float]:
    """Return the speed of a run on some cores."""
    os.sched_setaffinity(0, cores)
    return rate(run)


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number in range(FILES):
            chunk = random_chunk(np.random.default_rng(number))
            write_root(folder / f"{number}.root", chunk, compression=uproot.ZSTD(3))
        dataset = open_dataset(prepare(settings(folder), cache=folder / "cache"))
        spec = input_spec(dataset.manifest, TASK, LENGTHS)
        labels = task_labels(CLASSES, TASK)

        def stream(epoch: int) -> int:
            made = batches(
                dataset.train,
                spec=spec, label_map=labels, batch_size=BATCH_SIZE, seed=1, epoch=epoch,
            )  # fmt: skip
            return sum(len(batch.labels) for batch in made)

        def naively() -> int:
            path = folder / "0.root"
            return sum(len(label) for _, label in naive(path, NAIVE_STEP, stop=CHUNK))

        print(f"{FILES * CHUNK:,} candidates of {BYTES} bytes in zstd ROOT files; medians")
        before = peak_mb()
        stream(0)
        print(f"peak memory of streaming: {peak_mb() - before:.0f} MB")
        one, two, naive_ = [], [], []
        for epoch in range(REPEATS):  # interleaved, so that all meet the same neighbours
            one.append(on(cores[:1], lambda e=epoch: stream(e)))
            two.append(on(cores[:2], lambda e=epoch: stream(e)))
            naive_.append(on(cores[:1], naively))
        single = told("direct, one core", one)
        double = told("direct, two cores", two)
        awkward = told("awkward, one core", naive_)
        print(f"direct: {single / awkward:.2f} times awkward, two cores {double / single:.2f}")


if __name__ == "__main__":
    main()
