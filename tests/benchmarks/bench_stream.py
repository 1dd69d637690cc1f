"""How fast ready float32 batches come from a prepared dataset, on one core.

    python -m tests.benchmarks.bench_stream

Compared in the same run with the naive way: awkward's pad_none and fill_none on each batch, read
from a ROOT file one after another and not even shuffled. Medians of repeats; figures by processor
time, which a busy machine falsifies less, and by the clock.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import uproot

from tauopt.dataset.inputs import task_labels
from tauopt.stream.batches import batches
from tests.benchmarks.sample import (
    BYTES,
    CHUNK,
    CLASSES,
    TASK,
    naive,
    random_chunk,
    rate,
    spec_of,
    write_prepared,
    write_root,
)  # fmt: skip

BATCH_SIZES = (256, 1024, 4096)
NAIVE_SIZES = (4096, 50_000)
"""A usual batch, and one so large that the cost of calls no longer counts."""
NAIVE_CANDIDATES = 50_000
REPEATS = 7
NAIVE_REPEATS = 5


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_prepared(Path(scratch), chunks=4)
        chunk = random_chunk(np.random.default_rng(2))
        write_root(Path(scratch) / "ntuple.root", chunk, compression=uproot.LZ4(1))
        spec, labels = spec_of(dataset), task_labels(CLASSES, TASK)

        def stream(batch_size: int, epoch: int) -> int:
            made = batches(
                dataset.train,
                spec=spec, label_map=labels, batch_size=batch_size, seed=1, epoch=epoch,
            )  # fmt: skip
            return sum(len(batch.labels) for batch in made)

        def naively(step: int) -> int:
            path = Path(scratch) / "ntuple.root"
            return sum(len(label) for _, label in naive(path, step, stop=NAIVE_CANDIDATES))

        stream(256, 0)
        print(f"{4 * CHUNK:,} candidates of {BYTES} bytes, one core; medians (by the clock)")
        ours: dict[int, list[tuple[float, float]]] = {size: [] for size in BATCH_SIZES}
        theirs: dict[int, list[tuple[float, float]]] = {size: [] for size in NAIVE_SIZES}
        for repeat in range(REPEATS):  # interleaved, so that both meet the same neighbours
            for size, rates in ours.items():
                rates.append(rate(lambda b=size, r=repeat: stream(b, r)))
            for size, rates in theirs.items() if repeat < NAIVE_REPEATS else ():
                rates.append(rate(lambda b=size: naively(b)))
        for size, rates in ours.items():
            fast, clock = np.median(rates, axis=0)
            print(
                f"prepared dataset, batch {size:6,}: {fast / 1e6:.2f} ({clock / 1e6:.2f}) "
                f"M candidates/s, {fast * BYTES / 1e9:.2f} ({clock * BYTES / 1e9:.2f}) GB/s"
            )
        fast, fast_clock = np.median(ours[4096], axis=0)
        for size, rates in theirs.items():
            slow, clock = np.median(rates, axis=0)
            print(
                f"ROOT and awkward, batch {size:6,}: {slow / 1e6:.3f} ({clock / 1e6:.3f}) "
                f"M candidates/s; batches of 4,096 from the prepared dataset are "
                f"{fast / slow:.1f} ({fast_clock / clock:.1f}) times faster"
            )


if __name__ == "__main__":
    main()
