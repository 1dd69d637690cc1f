"""Candidates a second of preparation, and its peak memory against the chunk size.

Run: python -m tests.benchmarks.bench_prepare [candidates in thousands, 500]

Each measurement is a process of its own, since peak memory is of a process. The memory of the
imports is told apart. Memory must follow the chunk size and not the number of candidates.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tauopt.config.dataset import Dataset
from tests.ntuples_factory import columns, dataset_settings, write

FILE = 100_000
"""Candidates a file."""


def measure(folder: str, cache: str, chunk_size: str) -> dict[str, float]:
    """Prepare once in this process."""
    import awkward  # noqa: F401 - loaded before the baseline is taken
    import uproot  # noqa: F401

    from tauopt.prepare.prepare import prepare

    settings = Dataset.model_validate(dataset_settings(folder, chunk_size=int(chunk_size)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    prepared = prepare(settings, cache=Path(cache))
    first = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    prepare(settings, cache=Path(cache))
    bytes_ = sum(path.stat().st_size for path in prepared.rglob("*.npy"))
    return {
        "seconds": first,
        "again": time.perf_counter() - start,
        "imports_mb": before,
        "peak_mb": peak,
        "dataset_mb": bytes_ / 2**20,
    }


def main() -> None:
    """Write ntuples, prepare them with several chunk sizes, print a table."""
    total = 1000 * int(sys.argv[1] if len(sys.argv) > 1 else 500)
    with tempfile.TemporaryDirectory() as scratch:
        print("candidates  chunk     cand/s  again s  imports MB  peak MB  dataset MB")
        for count in (total // 4, total):
            folder = Path(scratch) / f"in-{count}"
            for number, first in enumerate(range(0, count, FILE)):
                content = columns(min(FILE, count - first), seed=number, first_event=first)
                write(folder / f"{number}.root", content, baskets=4)
            time.sleep(2.1)  # younger files' digests are not remembered
            for chunk_size in (10_000, 50_000, 100_000):
                cache = Path(scratch) / f"cache-{count}-{chunk_size}"
                command = [sys.executable, "-m", "tests.benchmarks.bench_prepare", "--one"]
                done = subprocess.run(
                    [*command, str(folder), str(cache), str(chunk_size)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                found = json.loads(done.stdout)
                print(
                    f"{count:10d} {chunk_size:6d} {count / found['seconds']:10.0f} "
                    f"{found['again']:8.2f} {found['imports_mb']:11.0f} {found['peak_mb']:8.0f} "
                    f"{found['dataset_mb']:11.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        main()
