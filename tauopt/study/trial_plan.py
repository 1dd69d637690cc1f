"""What a worker needs to know of a trial: one file in the trial's folder, paths and no pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tauopt.config.settings.experiment import Experiment
from tauopt.config.source.yaml_source import Scalar
from tauopt.durable import write_json
from tauopt.errors import CorruptError

PLAN = "trial.json"
"""Name of the file in the trial's folder."""


@dataclass(frozen=True)
class WorkerPlan:
    """A trial as it is handed to a worker; a resumed trial has the one it began with."""

    number: int
    name: str
    seed: int
    dataset: Path
    """Folder of the prepared dataset."""
    experiment: Experiment
    """With the trial's values in place of the ranges."""
    params: Mapping[str, Scalar]
    tags: Mapping[str, str]


def trial_folder(search: Path, number: int) -> Path:
    """Return the folder of a trial in the folder of its search."""
    return search / f"t{number:03d}"


def write_plan(folder: Path, plan: WorkerPlan) -> None:
    """Write the plan of the trial in `folder`, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "number": plan.number,
        "name": plan.name,
        "seed": plan.seed,
        "dataset": str(plan.dataset),
        "experiment": plan.experiment.model_dump(mode="json"),
        "params": dict(plan.params),
        "tags": dict(plan.tags),
    }
    write_json(folder / PLAN, content)


def read_plan(folder: Path) -> WorkerPlan:
    """Read the plan of the trial in `folder`.

    Raises:
        CorruptError: it is missing or not what was written.
    """
    try:
        content = json.loads((folder / PLAN).read_text())
        return WorkerPlan(
            number=content["number"],
            name=content["name"],
            seed=content["seed"],
            dataset=Path(content["dataset"]),
            experiment=Experiment.model_validate(content["experiment"]),
            params=content["params"],
            tags=content["tags"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"{folder / PLAN}: expected a trial's plan: {error}") from error
