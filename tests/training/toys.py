"""Small plans of trials and a recording tracker, for the tests of training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment
from tauopt.training.trial_plan import TrialPlan
from tests.prepared_factory import CLASSES, SIGNAL

ROOT = Path(__file__).parents[2]
DATA = Dataset(
    name="toy",
    samples={"all": {"files": ["none.root"], "classes": list(CLASSES)}},
    classes=dict.fromkeys(CLASSES, "1 > 0"),
    split={"train": "event_number % 10 < 6", "validation": "0 > 1", "test": "0 > 1"},
    candidate={"pt": {}},
)
"""Only names are used: trials read the prepared dataset, never its description."""

NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {"type": "dense", "layers": 1, "units": 8},
    "of_all_kinds": {
        "type": "dense",
        "layers": 1,
        "units": 16,
        "activation": "swish",
        "dropout": 0.2,
        "batch_normalization": True,
        "groups": {"tracks": {"length": 4}},
    },
    "deepsets": {
        "type": "deepsets",
        "dropout": 0.2,
        "groups": {
            "tracks": {
                "length": 4,
                "phi": {"layers": 1, "last_units": 6},
                "f": {"layers": 1, "units": 20},
            }
        },
        "candidate": {"layers": 1, "units": 6},
        "merge": {"layers": 1, "units": 6},
    },
    "rnn": {
        "type": "rnn",
        "dropout": 0.2,
        "groups": {"tracks": {"length": 3, "units": 6, "dense": {"units": 6}}},
        "candidate": {"layers": 1, "last_units": 6},
    },
}
"""`of_all_kinds` has all that a resumed trial restores: objects, moving statistics, random masks.
It is traced in a third of the time that `deepsets` takes."""


def plan(
    dataset: Path, folder: Path, *, network: str = "dense", seed: int = 1, **training: Any
) -> TrialPlan:
    objective = {"maximize": training.pop("objective", "rejection@0.75")}
    objective["minimize"] = training.pop("costs", [])
    objective["constraints"] = training.pop("constraints", {})
    experiment = Experiment(
        name="toy",
        data=DATA,
        task={"classes": {"jet": ("jet",), "tau": SIGNAL}, "signal": ("tau",)},
        model=NETWORKS[network],
        training={"batch_size": 64, "epochs": 2, **training},
        objective=objective,
    )
    return TrialPlan(
        experiment=experiment,
        dataset=dataset,
        folder=folder,
        name="t000-toy",
        seed=seed,
        params={"training.batch_size": 64},
        tags={"study": "toy"},
    )


def make_trainer(dataset: Path, **training: Any) -> tuple[Any, Any, Any]:
    """Return the trainer, the data and the rungs of a trial."""
    from tauopt.dataset.prepared_dataset import open_dataset
    from tauopt.training.network_and_data import Trainer, TrialData
    from tauopt.training.rungs import Rungs

    the_plan = plan(dataset, dataset.parent / "unused", **training)
    data = TrialData(open_dataset(dataset), the_plan.experiment, the_plan.seed)
    rungs = Rungs.from_training(the_plan.experiment.training, candidates=data.candidates)
    trainer = Trainer(data.spec, the_plan.experiment, seed=the_plan.seed, candidates=rungs.total)
    return trainer, data, rungs


def train_and_be_killed(dataset: Path, folder: Path, *, after: int, **settings: Any) -> None:
    """Run a trial in a process that is killed after the first checkpoint behind some candidates.

    Args:
        dataset, folder, settings: of the `plan`.
        after: candidates seen; the report of that checkpoint is not received.
    """
    script = f"""
import os, signal
from pathlib import Path
from tauopt.training.train_trial import run_trial
from tests.training.toys import Recorder, plan

class Killer(Recorder):
    def metrics(self, values, *, step):
        if step > {after}:
            os.kill(os.getpid(), signal.SIGKILL)

list(run_trial(
    plan(Path({str(dataset)!r}), Path({str(folder)!r}), **{settings!r}), tracker=Killer(),
))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=200,
    )
    assert ended.returncode == -signal.SIGKILL


class Recorder:
    """A tracker that keeps its records; a repeated name and step counts once."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.points: dict[tuple[str, int], float] = {}
        self.files: list[str] = []

    def start(self, *, params, tags) -> None:
        self.params, self.tags = dict(params), dict(tags)

    def metrics(self, values, *, step) -> None:
        for name, value in values.items():
            self.points.setdefault((name, step), value)

    def artifact(self, path, *, folder="") -> None:
        assert path.is_file()
        self.files.append(f"{folder}/{path.name}" if folder else path.name)
