"""How many candidates a second one core simulates, end to end.

    python -m tests.benchmarks.bench_simulate

One file of each slice of the default sample, at half of its length, from the generator's
start (whose cost thus counts twice) to the written file; slices are summed in their shares.
Medians of repeats, by processor time, which a busy machine falsifies less than the clock.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tauopt.config.settings.dataset import Simulation
from tauopt.simulate.sample_plan import plan_files
from tauopt.simulate.simulate_file import FileCounts, produce

REPEATS = 3
SCALE = 0.5


@contextlib.contextmanager
def _silent_stdout() -> Iterator[None]:
    """Keep FastJet's banner away."""
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)


def _silent(amount: int) -> None:
    del amount


def _one(folder: Path, seed: int) -> dict[str, tuple[float, int, int]]:
    """Return seconds, entries and selected candidates for each process."""
    sums: dict[str, tuple[float, int, int]] = {}
    taken: set[str] = set()
    for plan in plan_files(Simulation(seed=seed)):
        if plan.slice.name in taken:
            continue
        taken.add(plan.slice.name)
        small = replace(plan, candidates=max(1, round(plan.candidates * SCALE)))
        started = time.process_time()
        counts: FileCounts = produce(small, folder / plan.name, advance=_silent)
        seconds = (time.process_time() - started) * plan.files_in_slice
        old = sums.get(plan.slice.process, (0.0, 0, 0))
        sums[plan.slice.process] = (
            old[0] + seconds,
            old[1] + counts.entries * plan.files_in_slice,
            old[2] + counts.selected * plan.files_in_slice,
        )
    return sums


def main() -> None:
    """Print the medians, by process and together."""
    with tempfile.TemporaryDirectory() as folder, _silent_stdout():
        runs = [_one(Path(folder), seed) for seed in range(1, REPEATS + 1)]
    for process in (*runs[0], "together"):
        chosen = [list(r.values()) if process == "together" else [r[process]] for r in runs]
        seconds = [sum(part[0] for part in parts) for parts in chosen]
        for place, name in ((1, "candidates"), (2, "selected by tau ID")):
            rates = [
                sum(part[place] for part in parts) / s
                for parts, s in zip(chosen, seconds, strict=True)
            ]
            print(f"{process:12s} {statistics.median(rates):7.0f} {name} a second and core")


if __name__ == "__main__":
    main()
