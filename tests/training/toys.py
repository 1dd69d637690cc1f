"""Small plans of trials and a tracker that remembers, for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tauopt.config.dataset import Dataset
from tauopt.config.experiment import Experiment
from tauopt.training.protocols import TrialPlan
from tests.prepared_factory import CLASSES, SIGNAL

DATA = Dataset(
    name="toy",
    samples={"all": {"files": ["none.root"], "classes": list(CLASSES)}},
    classes=dict.fromkeys(CLASSES, "1 > 0"),
    split={"train": "event_number % 10 < 6", "validation": "0 > 1", "test": "0 > 1"},
    candidate={"pt": {}},
)
"""Names only: trials read the prepared dataset, never its description."""

NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {"type": "dense", "layers": 1, "units": 8},
    "deepsets": {
        "type": "deepsets",
        "dropout": 0.2,
        "groups": {"tracks": {"length": 4, "phi_layers": 1, "phi_output_units": 6, "f_layers": 0}},
        "candidate": {"layers": 0, "output_units": 6},
        "merge": {"layers": 1, "units": 6},
    },
    "rnn": {
        "type": "rnn",
        "dropout": 0.2,
        "groups": {"tracks": {"length": 3, "units": 6, "dense_units": 6}},
        "candidate": {"layers": 0, "output_units": 6},
    },
}


def plan(
    dataset: Path, folder: Path, *, network: str = "dense", seed: int = 1, **training: Any
) -> TrialPlan:
    objective = {"maximize": training.pop("objective", "rejection@0.75")}
    objective["minimize"] = training.pop("costs", [])
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


class Recorder:
    """A tracker that keeps what it is told; the same name and step twice counts once."""

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
