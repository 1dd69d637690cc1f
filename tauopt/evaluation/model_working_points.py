"""Working points of a model: derived on the validation split, their closure on the test split."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.durable import write_bytes
from tauopt.errors import CorruptError, DataError
from tauopt.evaluation.predict import load, predict
from tauopt.evaluation.recorded_trial import Trial
from tauopt.evaluation.split_candidates import SplitCandidates
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.closure_figure import closure_figure
from tauopt.figures.save_figure import save_figure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.working_points.closure import ProngClosure, closure
from tauopt.metrics.working_points.working_point_set import FILE, WorkingPoints, derive
from tauopt.tracking.read_run import artifact_names, read_artifact

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "promotion"
"""Folder of a run's artifacts that holds what its promotion wrote."""
MODEL, DATASET = "model_sha256", "dataset_digest"
"""Keys in `WorkingPoints.origin`: the model and the dataset that they were derived from."""


@dataclass(frozen=True)
class ModelWorkingPoints:
    """Working points of a model with their closure, as a promotion records them.

    Attributes:
        points: None if none could be derived.
        closures: by prongs (`1p`, `3p`, or all), on the test split.
        reason: why there are none; empty if there are, or if the task has no background.
    """

    points: WorkingPoints | None = None
    closures: Mapping[str, ProngClosure] = field(default_factory=dict)
    reason: str = ""

    @property
    def text(self) -> str:
        """JSON that is stored with the run and the registered version; empty without points."""
        return json.dumps(self.points.as_json()) if self.points else ""


def derive_with_closure(
    trial: Trial, *, validation: Predictions, test: Predictions, rng: np.random.Generator
) -> ModelWorkingPoints:
    """Derive a trial's working points and measure their closure; if there are none, say why.

    Args:
        trial: its experiment has the settings of the working points.
        validation, test: its model's predictions on the two splits.
        rng: of the bootstraps of weighted candidates.
    """
    if not validation.has_background:
        return ModelWorkingPoints()
    try:
        points = derive_points(trial, validation)
        return ModelWorkingPoints(points, closure(points, test, rng=rng))
    except DataError as error:
        return ModelWorkingPoints(reason=str(error))


def derive_points(trial: Trial, validation: Predictions) -> WorkingPoints:
    """Derive a trial's working points from its model's predictions on the validation split.

    Raises:
        DataError: see `tauopt.metrics.working_points.working_point_set.derive`.
    """
    points = derive(validation, trial.experiment.working_points)
    origin = {MODEL: trial.sha256, DATASET: trial.dataset_digest, "split": "validation"}
    return replace(points, origin={**points.origin, **origin})


def write_points(
    model_points: ModelWorkingPoints, folder: Path, *, sample: SampleLabel
) -> list[Path]:
    """Write working points as JSON, and the figures of their closure: `closure_1p.png`, ...

    Returns:
        the files; none without working points.
    """
    if model_points.points is None:
        return []
    files = [folder / FILE]
    write_bytes(folder / FILE, model_points.text.encode())
    for prongs, prong_closure in model_points.closures.items():
        if (drawn := closure_figure(prong_closure, prongs=prongs, sample=sample)) is not None:
            files += save_figure(*drawn, folder, name=f"closure_{prongs}")
    return files


def working_points_of(
    client: MlflowClient, trial: Trial, *, open_dataset: Callable[[], PreparedDataset]
) -> WorkingPoints:
    """Return a trial's working points: those of its promotion, or else derived anew.

    Args:
        client: from `tracking.client.connect`.
        trial: from `find_trial`.
        open_dataset: opens the prepared dataset that the trial was trained on; called only if the
            points have to be derived.
    Raises:
        DataError: none are recorded, and none can be derived (no background, too little signal).
        CorruptError: the recorded ones belong to another model, or are damaged.
        ServiceError: MLflow does not answer.
    """
    points = recorded_points(client, trial)
    if points is not None:
        return points
    dataset = open_dataset()
    if dataset.digest != trial.dataset_digest:
        raise DataError(
            f"working points of {trial.name} are derived on the dataset that it was trained on, "
            f"with digest {trial.dataset_digest}; {dataset.folder} has the digest {dataset.digest}"
        )
    candidates = SplitCandidates(dataset, dataset.validation)
    return derive_points(trial, predict(load(trial, candidates), candidates))


def recorded_points(client: MlflowClient, trial: Trial) -> WorkingPoints | None:
    """Return the working points that a promotion recorded with a trial's run; None if none did.

    Raises:
        CorruptError: they belong to another model, or are damaged.
        ServiceError: MLflow does not answer.
    """
    name = f"{FOLDER}/{FILE}"
    if not trial.run_id or name not in artifact_names(client, trial.run_id, folder=FOLDER):
        return None
    content = read_artifact(client, trial.run_id, name)
    try:
        points = WorkingPoints.from_json(json.loads(content))
    except (ValueError, CorruptError) as error:
        raise CorruptError(
            f"{name} of run {trial.run_id} is damaged: {error}; promote the run again with "
            "--working-points"
        ) from error
    if points.origin.get(MODEL) != trial.sha256:
        raise CorruptError(
            f"{name} of run {trial.run_id} belongs to a model with sha256 "
            f"{points.origin.get(MODEL)}; the run's model has {trial.sha256}"
        )
    return points
