"""Overhead of a trial on a warm worker, and what a cold one costs.

Run `python -m tests.benchmarks.bench_search [trials]`. One worker trains tiny dense networks,
three reports each. Overhead is what a trial takes beyond training and evaluation: from its
start to its first report, less the time of a later report (building and compiling the network,
Ray's messages), and from its end to the next trial's start (the study, the proposal, the plan).
MLflow's share is what a trial waits for: its records' way to the disk. Bringing them to MLflow
happens in the driver, in a thread that no trial waits for; it is told as well.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tauopt.search.driver import run_search
from tauopt.tracking.replay import Replay
from tauopt.tracking.spool import SpoolTracker, read_records
from tests.prepared_factory import prepared_dataset
from tests.search.searches import make_setup

LIMIT_S, MLFLOW_LIMIT_S = 1.0, 0.2


class Times:
    """When each event of each trial came."""

    def __init__(self):
        self.begun = time.monotonic()
        self.events = {}

    def __call__(self, event):
        self.events[event.number, event.kind, event.report] = time.monotonic() - self.begun

    def of(self, number, kind, report=0):
        return self.events[number, kind, report]


def spooling(folder):
    """Return the seconds that writing a finished trial's records again takes."""
    tracker = SpoolTracker(folder / "again")
    begun = time.monotonic()
    for record in read_records(folder):
        if record.kind == "metrics":
            tracker.metrics(record.values, step=record.step)
        elif record.kind == "artifact":
            tracker.artifact(folder / record.path, folder=record.folder)
        else:
            tracker.start(params=record.params or {}, tags=record.tags or {})
    return time.monotonic() - begun


class TimedShipping:
    """Adds up the time spent in bringing records to MLflow."""

    def __init__(self):
        self.seconds = self.worked = 0.0
        self._ship = Replay.ship

    def __enter__(self):
        def timed(replay, client):
            before, worked = time.monotonic(), time.thread_time()
            try:
                return self._ship(replay, client)
            finally:
                if replay.wanted.child is not None:
                    self.seconds += time.monotonic() - before
                    self.worked += time.thread_time() - worked

        Replay.ship = timed
        return self

    def __exit__(self, *_):
        Replay.ship = self._ship


def measure(trials):
    with tempfile.TemporaryDirectory() as name, TimedShipping() as shipping:
        folder = Path(name)
        dataset = prepared_dataset(folder, candidates=5000, groups=())
        times = Times()
        order = make_setup(folder, dataset=dataset, trials=trials, epochs=3, concurrent=1)
        run_search(order, on_event=times)
        total = time.monotonic() - times.begun
        spool = [spooling(order.folder / f"t{number:03d}") for number in range(trials)]
    warm = range(2, trials)
    start, report = [], []
    for number in warm:
        begun = times.of(number, "started")
        first, second = times.of(number, "report", 1), times.of(number, "report", 2)
        report.append(second - first)
        start.append(first - begun - (second - first))
    turn = [times.of(n, "started") - times.of(n - 1, "complete", 3) for n in warm]
    overhead = [a + b for a, b in zip(start, turn, strict=True)]
    return {
        "cold: driver's start to the first trial, s": times.of(0, "started"),
        "cold: first trial's start to its first report, s": times.of(0, "report", 1)
        - times.of(0, "started"),
        "whole search, s": total,
        "warm: a later report (training and evaluation), s": statistics.median(report),
        "warm: build, compile and messages, s": statistics.median(start),
        "warm: from one trial's end to the next one's start, s": statistics.median(turn),
        "warm: overhead of a trial, s": statistics.median(overhead),
        "warm: records of a trial to disk (for MLflow), s": statistics.median(spool),
        "beside it: a trial's records to MLflow, s": shipping.seconds / trials,
        "beside it: of that at work rather than waiting, s": shipping.worked / trials,
    }


def main():
    numbers = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
    for name, value in numbers.items():
        print(f"{name:<56} {value:8.3f}")
    overhead = numbers["warm: overhead of a trial, s"]
    mlflow = numbers["warm: records of a trial to disk (for MLflow), s"]
    good = overhead <= LIMIT_S and mlflow <= MLFLOW_LIMIT_S
    print(
        f"limits: {LIMIT_S} s a trial, {MLFLOW_LIMIT_S} s for MLflow: {'met' if good else 'MISSED'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
