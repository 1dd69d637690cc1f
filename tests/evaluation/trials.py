"""Trials in a real MLflow store, as a search leaves them there."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment, Objective, Task, Tracking, Training
from tauopt.config.settings.networks import Dense
from tauopt.tracking import runs
from tauopt.tracking.replay import Replay, WantedRun
from tauopt.tracking.spool import SPOOL, SpoolTracker
from tauopt.training.train_trial import run_trial
from tauopt.training.trial_plan import TrialPlan
from tests.prepared_factory import CLASSES, SIGNAL, SPECTATORS
from tests.undrawn import without_figures

TAUS = Task(classes={"jet": ("jet",), "tau": SIGNAL}, signal=("tau",))
DECAY_MODES = Task(classes={name: (name,) for name in SIGNAL})
MODES = Task(classes={name: (name,) for name in CLASSES}, signal=SIGNAL)


def experiment(name="tau-id", *, task=TAUS, objective="rejection@0.6", **training) -> Experiment:
    """A small dense network; its ntuples are nowhere, so its dataset can't be prepared again."""
    return Experiment(
        name=name,
        data=Dataset(
            name="toy",
            samples={"all": {"files": ("/nowhere/*.root",), "classes": CLASSES}},
            classes={c: f"truth == {i}" for i, c in enumerate(CLASSES)},
            split={
                "train": "event_number % 10 < 6",
                "validation": "event_number % 10 == 6",
                "test": "event_number % 10 > 7",
            },
            candidate={"pt": {}},
            spectators={name: name for name in SPECTATORS},
        ),
        task=task,
        model=Dense(type="dense", layers=1, units=8),
        training=Training(**{"epochs": 2, "batch_size": 64} | training),
        objective=Objective(maximize=objective),
        tracking=Tracking(model=name),
    )


def train(folder: Path, dataset: Path, settings: Experiment) -> Path:
    """Run a whole trial into `folder`, without its figures."""
    plan = TrialPlan(settings, dataset=dataset, folder=folder, name="t000-dense", seed=1)
    with without_figures():
        for _ in run_trial(plan, tracker=SpoolTracker(folder)):
            pass
    return folder


def changed(folder: Path, to: Path, *, model: bytes | None = None, **result) -> Path:
    """Copy a trial with other values in its result or another model, and record them anew."""
    shutil.copytree(folder, to)
    content = json.loads((to / "result.json").read_text()) | result
    content = {name: value for name, value in content.items() if value is not None}
    (to / "result.json").write_text(json.dumps(content))
    if model is not None:
        (to / "best.keras").write_bytes(model)
    (to / SPOOL).unlink()
    tracker = SpoolTracker(to)
    tracker.start(params={})
    tracker.artifact(to / "best.keras", folder="model")
    tracker.artifact(to / "result.json")
    return to


def shipped(client, output: Path, folder: Path, *, state="COMPLETE") -> str:
    """Send a trial's records to MLflow and give its run a state."""
    run_id = runs.open_parent(
        client,
        experiment="tau-id",
        name=folder.name,
        uid=uuid.uuid4().hex,
        artifacts=output / "mlartifacts",
    )
    for name in ("shipped.json", "run.json"):
        (folder / name).unlink(missing_ok=True)
    Replay(folder, WantedRun(uid="x", run_id=run_id)).ship(client)
    if state != "RUNNING":
        runs.finish(client, run_id, state=state, reason="loss became nan" * (state == "FAIL"))
    return run_id
