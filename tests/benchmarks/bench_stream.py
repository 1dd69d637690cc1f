"""How fast ready float32 batches come from a prepared dataset, on one core and on two.

    python -m tests.benchmarks.bench_stream

Compared in the same run with the naive way: awkward's pad_none and fill_none on each batch, read
from a ROOT file one after another and not even shuffled. Medians of repeats; figures by processor
time, which a busy machine falsifies less, and by the clock.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import uproot

from tauopt.dataset.network_inputs import task_labels
from tauopt.stream.batches import batches
from tauopt.stream.padding import take_into
from tests.benchmarks.sample import (  # fmt: skip
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
)

BATCH_SIZES = (256, 1024, 4096)
NAIVE_SIZES = (4096, 50_000)
"""A usual batch, and one so large that the cost of calls no longer counts."""
NAIVE_CANDIDATES = 50_000
CHUNKS = 10
REPEATS = 7
NAIVE_REPEATS = 5
LIMIT_BATCH = 1024


Rates = list[tuple[float, float]]


def copy_rows(table: np.ndarray, rows: np.ndarray) -> int:
    """Copy padded candidates row by row: what no stream of shuffled batches can beat."""
    for first in range(0, len(rows), LIMIT_BATCH):
        some = rows[first : first + LIMIT_BATCH]
        take_into(table, some, out=np.empty((len(some), table.shape[1]), np.float32))
    return len(rows)


def told(what: str, rates: Rates) -> float:
    """Print medians by processor time and by the clock; returns the latter."""
    fast, clock = np.median(rates, axis=0)
    print(
        f"{what}: {fast / 1e6:.2f} ({clock / 1e6:.2f}) M candidates/s, "
        f"{fast * BYTES / 1e9:.2f} ({clock * BYTES / 1e9:.2f}) GB/s",
        flush=True,
    )
    return float(clock)


def on_two_cores(stream: Callable[[int, int], int], table: np.ndarray, rows: np.ndarray) -> None:
    """Tell what a second core gives to streaming with two readers, and to copying rows."""
    halves = rows[::2].copy(), rows[1::2].copy()
    both: dict[str, Rates] = {}
    with ThreadPoolExecutor(2) as pool:
        for epoch in range(REPEATS):
            for readers in (1, 2):
                speed = rate(lambda e=epoch, n=readers: stream(e, n))
                both.setdefault(f"{readers} reader(s)", []).append(speed)
            both.setdefault("copies in 1 thread", []).append(rate(lambda: copy_rows(table, rows)))
            speed = rate(lambda: sum(pool.map(lambda half: copy_rows(table, half), halves)))
            both.setdefault("copies in 2 threads", []).append(speed)
    one, two, alone, together = (told(what, rates) for what, rates in both.items())
    print(
        f"two cores: {two / one:.2f} times one, by the clock; "
        f"copying random rows: {together / alone:.2f} times"
    )


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_prepared(Path(scratch), chunks=CHUNKS)
        chunk = random_chunk(np.random.default_rng(2))
        write_root(Path(scratch) / "ntuple.root", chunk, compression=uproot.LZ4(1))
        spec, labels = spec_of(dataset), task_labels(CLASSES, TASK)
        table = np.ones((CHUNKS * CHUNK, BYTES // 4), np.float32)
        rows = np.random.default_rng(3).permutation(len(table))

        def stream(batch_size: int, epoch: int, readers: int = 1) -> int:
            made = batches(
                dataset.train,
                spec=spec, label_map=labels, batch_size=batch_size, seed=1, epoch=epoch,
                readers=readers,
            )  # fmt: skip
            return sum(len(batch.labels) for batch in made)

        def naively(step: int) -> int:
            path = Path(scratch) / "ntuple.root"
            return sum(len(label) for _, label in naive(path, step, stop=NAIVE_CANDIDATES))

        stream(256, 0)
        print(f"{CHUNKS * CHUNK:,} candidates of {BYTES} bytes, one core; medians (by the clock)")
        limit: Rates = []
        ours: dict[int, Rates] = {size: [] for size in BATCH_SIZES}
        theirs: dict[int, Rates] = {size: [] for size in NAIVE_SIZES}
        for repeat in range(REPEATS):  # interleaved, so that all meet the same neighbours
            limit.append(rate(lambda: copy_rows(table, rows)))
            for size, rates in ours.items():
                rates.append(rate(lambda b=size, r=repeat: stream(b, r)))
            for size, rates in theirs.items() if repeat < NAIVE_REPEATS else ():
                rates.append(rate(lambda b=size: naively(b)))
        told("limit: random rows of padded candidates", limit)
        for size, rates in ours.items():
            told(f"prepared dataset, batch {size:6,}", rates)
        for size, rates in theirs.items():
            told(f"ROOT and awkward, batch {size:6,}", rates)
        fast = np.median(ours[4096], axis=0)[0]
        print(
            f"batches of 4,096 are at {fast / np.median(limit, axis=0)[0]:.2f} of the limit, and "
            + " and ".join(
                f"{fast / np.median(rates, axis=0)[0]:.1f} times awkward's at {size:,}"
                for size, rates in theirs.items()
            )
        )
        os.sched_setaffinity(0, cores[:2])
        on_two_cores(lambda epoch, readers: stream(4096, epoch, readers), table, rows)


if __name__ == "__main__":
    main()
