"""Load on the service: many trials that report each second to one search, on the stack.

    python -m tests.benchmarks.bench_service [trials, 64] [seconds, 300]

The stack's own PostgreSQL and MLflow server, and a real driver with Ray, run on this machine; the
trials are real workers that sleep where others train; they begin when all have started, each at
its own part of the second. Each report is written to the trial's spool, told to the driver, kept
in the study (PostgreSQL) and brought to MLflow, under the pruner that a search has by default.
What a report costs a trial is the time until it goes on: the spool alone, and with the driver's
answer. At the end every point must be in the study and in MLflow, once.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tauopt.search.driver import run_search
from tauopt.search.trainable import TrialWorker
from tauopt.tracking.spool import SpoolTracker
from tauopt.training.trial_plan import read_plan
from tauopt.training.trial_report import TrialReport
from tests.prepared_factory import prepared_dataset
from tests.search.searches import make_setup
from tests.stack.searches import client, storage_url, study_of
from tests.stack.stack import Stack, running

LIMIT_MS = 20.0
METRICS = 12
COSTS, STARTED = "costs.json", "started"


class ReportingWorker(TrialWorker):
    """Reports each second and remembers how long it was held up."""

    def train_trial(self, folder: Path) -> Iterator[TrialReport]:
        """Report as often as the plan has epochs, at whole seconds after the first report."""
        plan = read_plan(folder)
        reports = plan.experiment.training.epochs
        tracker = SpoolTracker(folder)
        tracker.start(params=plan.params, tags=plan.tags)
        costs: list[tuple[float, float, float]] = []
        trials = plan.experiment.search.trials
        due = _when_all_have_started(folder, trials) + plan.number / trials
        for number in range(self.after + 1, reports + 1):
            due += 1.0
            time.sleep(max(0.0, due - time.monotonic()))
            begun = time.monotonic()
            values = {f"metric_{i}": number / (i + 1) for i in range(METRICS)}
            tracker.metrics(values, step=number)
            spooled = time.monotonic()
            value = 1.0 - 1.0 / number
            report = TrialReport(number, 1000 * number, {}, value, value, number == reports)
            if report.done:
                (folder / COSTS).write_text(json.dumps(costs))
            yield report
            answered = time.monotonic()
            costs.append((spooled - begun, answered - spooled, begun - due))


def _when_all_have_started(folder: Path, trials: int) -> float:
    """Wait for the trials beside this one; returns the time."""
    (folder / STARTED).touch()
    while len(list(folder.parent.glob(f"*/{STARTED}"))) < trials:
        time.sleep(1.0)
    return time.monotonic()


def measure(stack: Stack, *, trials: int, seconds: int) -> dict[str, float]:
    """Run the search on the stack; returns what is printed, and checks that all has come."""
    _use(stack)
    folder = stack.folder / "load"
    folder.mkdir()
    dataset = prepared_dataset(folder, candidates=200, groups=())
    order = make_setup(
        folder, dataset=dataset, trials=trials, epochs=seconds, concurrent=trials, pruner="asha",
        overrides=("search.resources.cpus=0.03",),
    )  # fmt: skip
    cpu, begun = _processor(), time.monotonic()
    ending = run_search(order, worker=ReportingWorker)
    took, cpu = time.monotonic() - begun, _processor() - cpu
    costs = [json.loads((order.folder / f"t{n:03d}" / COSTS).read_text()) for n in range(trials)]
    spool, answer, late = 1e3 * np.asarray([row for each in costs for row in each]).T
    points, wrong = _points(stack, trials=trials, seconds=seconds)
    assert not ending.undelivered, ending.undelivered
    assert not wrong, wrong
    both = spool + answer
    return {
        "points, each once in the study and in MLflow": points,
        "the whole search, s": took,
        "processor of driver, trials and servers, cores": cpu / took,
        "a report: written to the spool, median ms": statistics.median(spool),
        "a report: written to the spool, 99th percentile, ms": float(np.percentile(spool, 99)),
        "a report: until the driver has answered, median ms": statistics.median(both),
        "a report: until the driver has answered, 99th percentile, ms": float(
            np.percentile(both, 99)
        ),
        "a report: later than its second, 99th percentile, ms": float(np.percentile(late, 99)),
    }


def _use(stack: Stack) -> None:
    """Point this process to the stack, as `docker compose run tauopt` is."""
    os.environ["TAUOPT_STORAGE"] = storage_url(stack)
    os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{stack.ports['mlflow']}"
    client(stack)  # sets user and password
    os.environ.pop("RAY_ADDRESS", None)


def _processor() -> float:
    """Return the seconds of processor that all of this machine has used."""
    jiffies = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = jiffies[3] + jiffies[4]
    return (sum(jiffies[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def _points(stack: Stack, *, trials: int, seconds: int) -> tuple[int, str]:
    """Return how many points have come, and what is missing or doubled, in words."""
    study, server = study_of(stack, "toy"), client(stack)
    wanted = list(range(1, seconds + 1))
    points, wrong = 0, []
    for trial in study.trials:
        if sorted(trial.intermediate_values) != wanted:
            wrong.append(f"study: t{trial.number:03d} has {len(trial.intermediate_values)}")
    runs = [
        run
        for experiment in server.search_experiments()
        for run in server.search_runs([experiment.experiment_id], max_results=1000)
        if "mlflow.parentRunId" in run.data.tags
    ]
    if len(runs) != trials or len(study.trials) != trials:
        wrong.append(f"{len(study.trials)} trials and {len(runs)} runs instead of {trials}")
    for run in runs:
        for name in ("metric_0", f"metric_{METRICS - 1}"):
            steps = sorted(p.step for p in server.get_metric_history(run.info.run_id, name))
            if steps != wanted:
                wrong.append(f"MLflow: {run.info.run_name} has {len(steps)} of {name}")
        points += len(steps)
    return points, "; ".join(wrong[:5])


def main() -> int:
    """Start the stack without Ray workers, load it, print; 1 if the limit is missed."""
    trials, seconds = (int(word) for word in (*sys.argv[1:], *("64", "300")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory(prefix="tauopt-load-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder, workers=0) as stack:
            numbers = measure(stack, trials=trials, seconds=seconds)
    print(f"{trials} trials, a report of {METRICS} metrics a second each, for {seconds} s")
    for label, value in numbers.items():
        print(f"{label:<64} {value:10.4g}")
    met = numbers["a report: until the driver has answered, median ms"] <= LIMIT_MS
    print(f"limit: {LIMIT_MS:g} ms a report: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
