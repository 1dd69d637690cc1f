"""How fast ntuples are scored, against the loop that people write, and how much memory it takes.

    python -m tests.benchmarks.bench_score [entries]

One core. The loop reads a whole file with uproot, pads with awkward, and calls `model.predict`: at
Keras's own batch size, and at ours. Medians of ratios over turns; memory is what a process of its
own has at its peak, for a file and for one ten times larger.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment, Objective, Task, Training
from tauopt.config.settings.networks import DeepSets
from tauopt.evaluation.find_trial import find_trial
from tauopt.export.score_files import FileScorer, ScoreJob, score_file
from tauopt.models.model_file import load_model
from tauopt.ntuples.friend import TREE
from tauopt.prepare.prepare_dataset import prepare
from tauopt.tracking.client import connect
from tauopt.training.prediction import BATCH_SIZE
from tests import ntuples_factory
from tests.evaluation.trials import train

ENTRIES = 200_000
TURNS = 3
LENGTH = 5


def make_trial(home: Path) -> Path:
    """Train a small network on a small sample; return the trial's folder."""
    ntuples_factory.write(home / "train" / "a.root", ntuples_factory.columns(3000))
    data = Dataset.model_validate(ntuples_factory.dataset_settings(home / "train"))
    settings = Experiment(
        name="toy",
        data=data,
        task=Task(classes={"jet": ("jet",), "tau": ("tau",)}, signal=("tau",)),
        model=DeepSets.model_validate(
            {"type": "deepsets", "groups": {"tracks": {"length": LENGTH}}}
        ),
        training=Training(epochs=1, batch_size=256),
        objective=Objective(maximize="auc"),
    )
    return train(home / "t000", prepare(data, cache=home / "cache"), settings)


def by_loop(path: Path, model: Any, batch_size: int) -> np.ndarray:
    """Score a file as a script would; return the tau probabilities."""
    table = uproot.open(f"{path}:candidates").arrays(["pt", "eta", "track_pt", "track_d0"])
    order = ak.argsort(table.track_pt, ascending=False)
    kept = table.track_pt[order], table.track_d0[order]
    padded = [np.asarray(ak.fill_none(ak.pad_none(x, LENGTH, clip=True), 0)) for x in kept]
    mask = np.arange(LENGTH) < np.asarray(ak.num(table.track_pt))[:, None]
    pt = np.asarray(table.pt)
    inputs = {
        "candidate": np.stack([pt, np.asarray(table.eta)], axis=-1).astype(np.float32),
        "tracks": np.stack([*padded, np.where(mask, pt[:, None], 0)], axis=-1).astype(np.float32),
        "tracks_mask": mask,
    }
    return model.predict(inputs, batch_size=batch_size, verbose=0)["probabilities"][:, 1]


def compare(home: Path, entries: int) -> None:
    """Score a file in all ways by turns, and print the ratios."""
    folder = make_trial(home)
    trial = find_trial(connect(None, output=home), str(folder), folder=home / "fetched")
    applied, model = FileScorer(trial, None, -1.0), load_model(trial.model)
    path = ntuples_factory.write(home / "x.root", ntuples_factory.columns(entries), baskets=20)
    job = ScoreJob(path, "all", home / "scores.root", {})
    ways = {
        "ours": lambda: score_file(job, applied),
        "loop, batches of 32": lambda: by_loop(path, model, 32),
        f"loop, batches of {BATCH_SIZE}": lambda: by_loop(path, model, BATCH_SIZE),
    }
    found = {name: way() for name, way in ways.items()}
    scores = uproot.open(f"{job.to}:{TREE}")[f"{TREE}_p_tau"].array(library="np")
    worst = max(np.abs(scores - x).max() for x in found.values() if isinstance(x, np.ndarray))
    times = np.array([[_timed(way) for way in ways.values()] for _ in range(TURNS)])
    print(f"largest difference of a score {worst:.1g}")
    for column, name in enumerate(ways):
        speed = entries / np.median(times[:, column]) / 1e3
        ratio = np.median(times[:, column] / times[:, 0])
        print(f"{name:24s} {speed:8.1f} thousand candidates/s, ours is {ratio:.2f} times as fast")
    for size in (entries, 10 * entries):
        large = ntuples_factory.write(
            home / f"{size}.root", ntuples_factory.columns(size), baskets=size // 10_000
        )
        words = [sys.executable, "-m", "tests.benchmarks.bench_score", "--peak", folder, large]
        told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        print(f"peak memory for {size:,} entries: {told.strip()} MB")


def peak(folder: Path, path: Path) -> None:
    """Score a file in this process, and print the most memory that it had."""
    with tempfile.TemporaryDirectory() as scratch:
        trial = find_trial(
            connect(None, output=Path(scratch)), str(folder), folder=Path(scratch) / "fetched"
        )
        job = ScoreJob(path, "all", Path(scratch) / "scores.root", {})
        score_file(job, FileScorer(trial, None, -1.0), threads=1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)


def _timed(way: Any) -> float:
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun


def main() -> None:
    warnings.filterwarnings("ignore")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    if sys.argv[1:2] == ["--peak"]:
        peak(*map(Path, sys.argv[2:4]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        compare(Path(scratch), int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)


if __name__ == "__main__":
    main()
