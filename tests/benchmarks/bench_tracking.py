"""What tracking costs: in the trial, and in the driver's shipper. Medians.

    python -m tests.benchmarks.bench_tracking [trials, 20]

The trial pays for the spool alone (each record fsynced). The shipper's time is the driver's, in
a thread that no trial waits for. A trial here has 3 reports of 12 metrics, 30 parameters, three
figures and a model of 1 MB.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tauopt.tracking import runs
from tauopt.tracking.client import artifact_folder, connect, store_uri
from tauopt.tracking.dataset_input import DatasetInput
from tauopt.tracking.replay import ChildRun, Replay, WantedRun, now_ms
from tauopt.tracking.spool import SpoolTracker

REPORTS, METRICS, PARAMS = 3, 12, 30


class Clock:
    """Milliseconds of each named piece of work."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.processor: dict[str, list[float]] = {}

    def time(self, name: str, work: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        begun, busy = time.perf_counter(), time.process_time()
        work(*arguments, **named)
        self.times.setdefault(name, []).append(1e3 * (time.perf_counter() - begun))
        self.processor.setdefault(name, []).append(1e3 * (time.process_time() - busy))

    def tell(self) -> None:
        for name, times in self.times.items():
            busy = self.processor.get(name)
            processor = f"{statistics.median(busy):8.2f} ms of processor" if busy else ""
            print(f"{name:<42} {statistics.median(times):8.2f} ms {processor}")


def trial(clock: Clock, client: Any, folder: Path, child: ChildRun) -> None:
    """One trial: its side, then the shipper's, report by report."""
    folder.mkdir(parents=True)
    files = [folder / name for name in ("roc.png", "scores.png", "training.png", "best.keras")]
    for file in files:
        file.write_bytes(os.urandom(1_000_000 if file.suffix == ".keras" else 60_000))
    begun = time.perf_counter()
    spent = 0.0
    tracker = SpoolTracker(folder)
    clock.time("trial: start", tracker.start, params={f"p.{i}": i / 7 for i in range(PARAMS)})
    replay = Replay(folder, WantedRun(child.uid, child=child, began_ms=now_ms(), state_ms=now_ms()))
    shipping = time.perf_counter()
    clock.time("shipper: open the run, params, dataset", replay.ship, client)
    spent += time.perf_counter() - shipping
    for step in range(REPORTS):
        values = {f"m{i}": step + i / 7 for i in range(METRICS)}
        clock.time("trial: a report", tracker.metrics, values, step=step)
        shipping = time.perf_counter()
        clock.time("shipper: a report", replay.ship, client)
        spent += time.perf_counter() - shipping
    for file in files:
        clock.time("trial: an artifact", tracker.artifact, file)
    replay.wanted = WantedRun(child.uid, child=child, state="COMPLETE", state_ms=now_ms())
    shipping = time.perf_counter()
    clock.time("shipper: four artifacts and the end", replay.ship, client)
    spent += time.perf_counter() - shipping
    whole = time.perf_counter() - begun
    clock.times.setdefault("trial: all of it", []).append(1e3 * (whole - spent))
    clock.times.setdefault("shipper: all of a trial", []).append(1e3 * spent)


def main() -> None:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as scratch:
        output, cold, clock = Path(scratch), Clock(), Clock()
        begun = time.perf_counter()
        client = connect(None, output=output)
        print(f"cold: import MLflow, make the store {time.perf_counter() - begun:29.1f} s")
        artifacts = artifact_folder(store_uri(None, output=output))
        parent = runs.open_parent(
            client, experiment="bench", name="bench", uid="bench", artifacts=artifacts
        )
        data = DatasetInput("demo", "ab" * 32, scratch, {"train candidates": 1})
        for index in range(number + 1):
            child = ChildRun(parent, f"t{index:03d}", f"bench/t{index:03d}", dataset=data)
            trial(clock if index else cold, client, output / child.name, child)
        clock.tell()


if __name__ == "__main__":
    main()
