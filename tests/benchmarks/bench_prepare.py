"""Candidates a second of preparation, and its peak memory, from 100 thousand candidates on.

    python -m tests.benchmarks.bench_prepare [thousands of candidates: 250 1000]

The candidates have the branches, multiplicities and features of the demo, in ROOT files of 100
thousand compressed by zstd. Each measurement is a process of its own, since peak memory is of a
process; the memory of the imports is told apart. The rate is of the whole preparation, digests and
fsync included, in one process: by its processor time, which is the rate of a core, and by the
clock, which waits for the disk too. Memory must not follow the number of candidates, nor must the
cost of one (`ratio`: to that of the fewest). Two workers are Ray's: the clock counts their start.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tauopt.cluster import ray_tasks
from tests.benchmarks.demo_sample import settings, write

FILE = 100_000
"""Candidates a file."""


def measure(folder: str, cache: str, workers: str) -> dict[str, float]:
    """Prepare in this process, or let workers of Ray read; then find it prepared."""
    import awkward  # noqa: F401 - loaded before the baseline is taken
    import uproot  # noqa: F401

    from tauopt.prepare.collect_extracts import in_this_process
    from tauopt.prepare.prepare_dataset import prepare

    dataset, in_workers = settings(folder), [0.0]

    @contextlib.contextmanager
    def two(sizes):
        with ray_tasks.workers(2) as run:
            yield run
            in_workers[:] = run(_peak, [resource.RUSAGE_SELF] * 4)

    parallel = in_this_process if workers == "1" else two
    before = _peak(resource.RUSAGE_SELF)
    clock, processor = time.perf_counter(), time.process_time()
    prepare(dataset, cache=Path(cache), parallel=parallel)
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    peak, start = _peak(resource.RUSAGE_SELF), time.perf_counter()
    prepared = prepare(dataset, cache=Path(cache))
    return {
        "clock": clock,
        "processor": processor,
        "again": time.perf_counter() - start,
        "imports_mb": before,
        "peak_mb": peak,
        "worker_mb": max(in_workers),
        "dataset_mb": sum(path.stat().st_size for path in prepared.rglob("*.npy")) / 2**20,
    }


def _peak(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def main() -> None:
    """Write ntuples, prepare them, print a table."""
    thousands = [int(one) for one in sys.argv[1:]] or [250, 1000]
    with tempfile.TemporaryDirectory() as scratch:
        print("                   candidates a second        seconds  MB of memory           data")
        print("candidates workers  per core  by clock  ratio   again  imports  peak worker     MB")
        folder, made, first = Path(scratch) / "in", 0, 0.0
        for count in (1000 * number for number in sorted(thousands)):
            while made < count:  # more files beside those of the smaller sample
                size = min(FILE, count - made)
                write(folder / f"{made:09d}.root", size, seed=made, first_event=made)
                made += size
            time.sleep(2.1)  # younger files' digests are not remembered
            for workers in (1, 2):
                found = _apart(folder, Path(scratch) / "cache", workers)
                cost = found["processor"] / count
                first = first or cost
                alone = (f"{1 / cost:9.0f}", f"{cost / first:6.2f}") if workers == 1 else ("", "")
                print(
                    f"{count:10d} {workers:7d} {alone[0]:>9} {count / found['clock']:9.0f} "
                    f"{alone[1]:>6} {found['again']:7.2f} {found['imports_mb']:8.0f} "
                    f"{found['peak_mb']:5.0f} {found['worker_mb']:6.0f} {found['dataset_mb']:6.0f}",
                    flush=True,
                )


def _apart(folder: Path, cache: Path, workers: int) -> dict[str, float]:
    """Measure in a process of its own, with an empty cache."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_prepare", "--one"]
    done = subprocess.run(
        [*command, str(folder), str(cache), str(workers)],
        check=True,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(cache)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        main()
