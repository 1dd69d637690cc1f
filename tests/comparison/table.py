"""Every network, searched alike, against the published baseline and trees on all inputs.

    python -m tests.comparison.table FOLDER [--trials 20] [--epochs 25] [--points 20]

Judged on the test split of the demo sample, which nothing was picked by. What FOLDER holds already
is not done again: searches, the baseline's training, what the trees said. With two cores and the
defaults it takes an hour and a half. Keep the machine quiet while `candidates/s` are measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tauopt.config.settings.experiment import Experiment, Task
from tauopt.config.settings.objective import CostName, ObjectiveName
from tauopt.dataset.prepared_dataset import PreparedDataset, open_dataset
from tauopt.metrics.bootstrap import paired_bootstrap
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import accuracy, measure
from tauopt.metrics.predictions import Predictions
from tests.comparison import flat_trees
from tests.comparison.compare import best_trial, network_predictions

ROOT = Path(__file__).parents[2]
NETWORKS = ("rnn", "deepsets", "transformer", "particlenet", "deeptau")
BASELINE, TREES = "baseline", "trees"
CLASSES = ("jet", "1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
TASK = Task(classes={name: (name,) for name in CLASSES}, signal=CLASSES[1:])
POINTS = [ObjectiveName("rejection", at, prongs) for prongs in (1, 3) for at in (0.6, 0.75, 0.85)]
JUDGE = ObjectiveName("rejection", 0.75)
COSTS = (CostName("latency_us", 1), CostName("latency_us", 256))
ALIKE = (
    f"task={{classes: [{','.join(CLASSES)}], signal: [{','.join(CLASSES[1:])}]}}",
    "training.class_balance=signal",
    "training.schedule=cosine",
    "training.reduce_on_plateau=null",
    "training.ema=0.998",
)
"""What every network is trained for and how, whatever its shipped space says."""


@dataclass(frozen=True)
class Entry:
    """A row of the table."""

    name: str
    jets_or_taus: Predictions
    """Of all candidates of the test split."""
    modes: Estimate | None
    """Fraction of true taus whose decay mode is named right; of what tells them apart."""
    parameters: int | None = None
    latency: tuple[Estimate, ...] = ()
    speed: float | None = None
    """Candidates trained a second, on one core."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--points", type=int, default=20, help="settings that the trees try")
    words = parser.parse_args()
    baseline = trained_baseline(words.folder)
    trials = {
        name: best_trial(searched(name, words.folder, trials=words.trials, epochs=words.epochs))
        for name in NETWORKS
    }
    dataset = open_dataset(
        Path(json.loads((baseline / "result.json").read_text())["dataset_folder"])
    )
    trials = {BASELINE: baseline, **trials}
    entries = [network_entry(name, trial, dataset, words.folder) for name, trial in trials.items()]
    entries += [tree_entry(words.folder, dataset, points=words.points)]
    text = "\n".join(lines(entries))
    (words.folder / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def searched(name: str, folder: Path, *, trials: int, epochs: int) -> Path:
    """Search a shipped space, unless that is done; return the search's folder."""
    found = folder / "searches" / name
    if not (found / "leaderboard.json").is_file():
        tauopt(
            "search", ROOT / "search_spaces" / f"{name}.yaml",
            "--trials", trials, "--output", folder, "--set", f"training.epochs={epochs}",
            *(word for override in ALIKE for word in ("--set", override)),
            *(["--resume"] if found.exists() else []),
        )  # fmt: skip
    return found


def trained_baseline(folder: Path) -> Path:
    """Train the baseline, unless that is done; return its folder."""
    found = folder / "runs" / BASELINE
    if not (found / "result.json").is_file():
        tauopt("train", Path(__file__).with_name("baseline.yaml"), "--output", folder)
    return found


def tauopt(*words: object) -> None:
    """Run a command in a process of its own, nicely."""
    print("tauopt", *words, flush=True)
    command = ["nice", sys.executable, "-m", "tauopt", *map(str, words)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def tree_entry(folder: Path, dataset: PreparedDataset, *, points: int) -> Entry:
    """Train the trees, unless that is done, and judge them."""
    kept = folder / TREES
    files = (kept / "jets_or_taus.npz", kept / "modes.npz")
    if not all(file.is_file() for file in files):
        kept.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        test = dataset.sealed_test(opened_by="the table of networks")
        splits = [
            flat_trees.flat(split, dataset, TASK)
            for split in (dataset.train, dataset.validation, test)
        ]
        settings, ensembles = flat_trees.tuned_trees(
            *splits[:2], TASK, points=points, rng=np.random.default_rng(1)
        )
        flat_trees.signal_predictions(ensembles, splits[2], TASK).save(files[0])
        flat_trees.mode_predictions(*splits, task=TASK, settings=settings).save(files[1])
        print(f"  trees took {time.monotonic() - begun:.0f} s; best {settings}", flush=True)
    return Entry(TREES, Predictions.load(files[0]), accuracy(Predictions.load(files[1])))


def network_entry(name: str, trial: Path, dataset: PreparedDataset, folder: Path) -> Entry:
    """Judge a trial's network, and measure how fast it is."""
    from tauopt.models.devices import limit_devices

    limit_devices(cpus=1)
    result = json.loads((trial / "result.json").read_text())
    experiment = Experiment.model_validate(result["experiment"])
    test = dataset.sealed_test(opened_by="the table of networks")
    predictions = network_predictions(trial, dataset, test)
    return Entry(
        name, predictions, mode_accuracy(predictions), result["parameters"],
        latency=tuple(measured_latencies(trial, result, experiment, dataset)),
        speed=training_speed(name, experiment, dataset, folder),
    )  # fmt: skip


def mode_accuracy(predictions: Predictions) -> Estimate | None:
    """Return how many true taus have their decay mode named right, among the modes."""
    modes = [index for index, name in enumerate(predictions.classes) if name in predictions.signal]
    if len(modes) < 2:
        return None
    taus = predictions.where(predictions.is_signal)
    place = np.full(len(predictions.classes), -1)
    place[modes] = np.arange(len(modes))
    found = Predictions(
        taus.probabilities[:, modes], place[taus.labels], taus.weights,
        classes=predictions.signal, signal=predictions.signal,
    )  # fmt: skip
    return accuracy(found)


def measured_latencies(
    trial: Path, result: dict[str, Any], experiment: Experiment, dataset: PreparedDataset
) -> Iterator[Estimate]:
    """Give the microseconds a candidate, for each of COSTS."""
    from tauopt.evaluation.split_candidates import SplitCandidates
    from tauopt.models.model_file import load_model
    from tauopt.training.latency import latencies

    model = load_model(trial / "best.keras", sha256=result["model_sha256"])
    candidates = SplitCandidates(dataset, dataset.validation)
    _, inputs = candidates.sample(candidates.inputs_of(experiment), most=256)
    found = latencies(COSTS, model, inputs)
    yield from (found[str(cost)] for cost in COSTS)


def training_speed(
    name: str, experiment: Experiment, dataset: PreparedDataset, folder: Path
) -> float:
    """Train the network again for three epochs, on one core; the first report is compilation."""
    from tauopt.tracking.spool import SpoolTracker
    from tauopt.training.train_trial import run_trial
    from tauopt.training.trial_plan import TrialPlan

    training = experiment.training.model_copy(update={"epochs": 3})
    plan = TrialPlan(
        experiment.model_copy(update={"training": training}), dataset=dataset.folder,
        folder=folder / "speed" / f"{name}-{time.time_ns()}", name=f"speed-{name}", seed=1,
    )  # fmt: skip
    reports = [*run_trial(plan, tracker=SpoolTracker(plan.folder))]
    return statistics.median(report.metrics["candidates_per_s"] for report in reports[1:])


def lines(entries: list[Entry]) -> Iterator[str]:
    """Give the table as Markdown, and the comparisons on the same candidates."""
    head = ["", *(f"{point}" for point in POINTS), "modes right", "parameters"]
    head += ["us, one", "us, of 256", "candidates/s"]
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for entry in entries:
        cells = [entry.name, *(str(measure(point, entry.jets_or_taus)) for point in POINTS)]
        cells += [_shown(entry.modes), _shown(entry.parameters)]
        cells += [*map(_shown, entry.latency or (None, None))]
        cells += [_shown(None if entry.speed is None else round(entry.speed, -2))]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    known = {entry.name: entry.jets_or_taus for entry in entries}
    for name in NETWORKS:
        for other in (BASELINE, TREES):
            yield from compared(name, known[name], other, known[other])


def compared(name: str, a: Predictions, other: str, b: Predictions) -> Iterator[str]:
    """Give a line for each working point: how much more one rejects than the other."""
    rng = np.random.default_rng(1)
    for point in (JUDGE, *POINTS):
        found = paired_bootstrap(point, a, b, rng=rng, replicas=500)
        more = Estimate(found.value, found.low, found.high)
        yield f"- {name} - {other}, {point}: {more}, p(not better) {found.p_better:.3f}"


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:,.0f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
