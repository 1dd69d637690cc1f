"""What memory eight processes that stream one prepared dataset take, against one.

    python -m tests.benchmarks.bench_memory

Each process streams an epoch and holds all chunks mapped, and what it assembled last. Counted is
the proportional set size (each shared page divided among those who share it) of the dataset's
files and of the memory that streaming allocated; interpreter and libraries are the same with any
dataset.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from tauopt.dataset.network_inputs import task_labels
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.stream.batches import batches
from tests.benchmarks.sample import CLASSES, TASK, spec_of, write_prepared

BATCH_SIZE = 1024
CHUNKS = 10
PROCESSES = (1, 8)


def pss_mb(pid: int, *, of: str = "") -> float:
    """Return the proportional set size of a process, of files below a folder or of everything."""
    total, wanted = 0, True
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            wanted = of in line
        elif wanted and line.startswith("Pss:"):
            total += int(line.split()[1])
    return total / 1024


def stream(folder: str, barrier: Any, pipe: Any) -> None:
    """Stream an epoch, hold the chunks, and wait to be looked at."""
    dataset = open_dataset(folder)
    spec, labels = spec_of(dataset), task_labels(CLASSES, TASK)
    arguments = {"spec": spec, "label_map": labels, "batch_size": BATCH_SIZE, "seed": 1}
    next(iter(batches(dataset.train, **arguments)))
    own = os.getpid()
    before = pss_mb(own) - pss_mb(own, of=folder)
    held = [chunk.features(list(spec.lengths)) for chunk in dataset.train.chunks]
    for candidate, groups in held:
        candidate.sum(), [values.sum() for values, _ in groups.values()]
    for batch in batches(dataset.train, **arguments):
        last = batch
    barrier.wait()
    mapped = pss_mb(own, of=folder)
    pipe.send((mapped, pss_mb(own) - mapped - before))
    barrier.wait()
    del held, last


def together(folder: str, count: int) -> tuple[float, float]:
    """Return MB of the dataset's files and of allocations, summed over the processes."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    processes = [context.Process(target=stream, args=(folder, barrier, send)) for _, send in pipes]
    for process in processes:
        process.start()
    found = [receive.recv() for receive, _ in pipes]
    for process in processes:
        process.join()
    mapped, allocated = (sum(column) for column in zip(*found, strict=True))
    return mapped, allocated


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_prepared(Path(scratch).resolve(), chunks=CHUNKS)
        totals = []
        for count in PROCESSES:
            mapped, allocated = together(str(dataset.folder), count)
            totals.append(mapped + allocated)
            print(f"{count} process(es): {mapped:.0f} MB of chunks, {allocated:.0f} MB allocated")
        print(f"ratio {totals[1] / totals[0]:.2f}")


if __name__ == "__main__":
    main()
