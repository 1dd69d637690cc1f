"""Plan of a trial, which a worker reads as JSON, and the names of the files in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tauopt.config.settings.experiment import Experiment
from tauopt.config.source.yaml_source import Scalar
from tauopt.durable import write_json
from tauopt.errors import CorruptError

PLAN = "trial.json"
"""File of the plan, in the trial's folder."""
MODEL, PREDICTIONS, RESULT, FIGURES = "best.keras", "predictions.npz", "result.json", "figures"
"""Files of a finished trial's results, and the folder of its figures, in the trial's folder."""
CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, in the trial's folder."""


@dataclass(frozen=True)
class TrialPlan:
    """Everything that decides what a trial trains; a resumed trial keeps its first plan.

    Attributes:
        experiment: settings, with the trial's values in place of the ranges.
        dataset: folder of the prepared dataset.
        folder: folder of the trial's checkpoints and results; made if missing.
        name: name in records, such as `t007-rnn`.
        seed: seed of weights, dropout and the order of candidates.
        tags, params: tags and parameters for the tracker.
        number: number of the trial in its study; 0 outside a search.
    """

    experiment: Experiment
    dataset: Path
    folder: Path
    name: str
    seed: int
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Scalar] = field(default_factory=dict)
    number: int = 0


def trial_folder(search: Path, number: int) -> Path:
    """Return the folder of a trial in the folder of its search."""
    return search / f"t{number:03d}"


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed of a study's trial `number`; seeds of trials and studies are independent."""
    sequence = np.random.SeedSequence(study_seed, spawn_key=(number,))
    return int(sequence.generate_state(1)[0] >> 1)


def write_plan(plan: TrialPlan) -> None:
    """Write a plan into its trial's folder, made if missing."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    content = {
        "number": plan.number,
        "name": plan.name,
        "seed": plan.seed,
        "dataset": str(plan.dataset),
        "experiment": plan.experiment.model_dump(mode="json"),
        "params": dict(plan.params),
        "tags": dict(plan.tags),
    }
    write_json(plan.folder / PLAN, content)


def read_plan(folder: Path) -> TrialPlan:
    """Read the plan of the trial in `folder`.

    Raises:
        CorruptError: it is missing, or not as `write_plan` writes it.
    """
    try:
        content = json.loads((folder / PLAN).read_text())
        return TrialPlan(
            experiment=Experiment.model_validate(content["experiment"]),
            dataset=Path(content["dataset"]),
            folder=folder,
            name=content["name"],
            seed=content["seed"],
            tags=content["tags"],
            params=content["params"],
            number=content["number"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(
            f"{folder / PLAN}: expected a trial's plan as a search writes it, got: {error}"
        ) from error
