"""The working points that go with a model: derived on validation, closed on test, kept with it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.durable import write_bytes
from tauopt.errors import CorruptError, DataError
from tauopt.evaluation.model_inputs import predict_split, reading
from tauopt.evaluation.recorded_trial import Trial
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.closure_figure import closure_figure
from tauopt.figures.save_figure import save_figure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.working_points.closure import ProngClosure, closure
from tauopt.metrics.working_points.working_point_set import FILE, WorkingPoints, derive
from tauopt.models.model_file import load_model
from tauopt.tracking.retries import again

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "promotion"
"""Folder of the run's artifacts that holds them."""
MODEL, DATASET = "model_sha256", "dataset_digest"
"""What working points were derived from, in their `origin`."""


@dataclass(frozen=True)
class ModelWorkingPoints:
    """Working points as a promotion has them.

    Attributes:
        points: None if none could be derived.
        closures: by prongs, on the test split.
        reason: why there are none; empty if there are, or if the task has no background.
    """

    points: WorkingPoints | None = None
    closures: Mapping[str, ProngClosure] = field(default_factory=dict)
    reason: str = ""

    @property
    def text(self) -> str:
        """The JSON that is kept with the run and the version."""
        return json.dumps(self.points.as_json()) if self.points else ""


def ship(
    trial: Trial, *, validation: Predictions, test: Predictions, rng: np.random.Generator
) -> ModelWorkingPoints:
    """Derive a trial's working points and measure how they close; without them, say why.

    Args:
        trial: whose experiment says which.
        validation, test: its model's predictions on the two splits.
        rng: of the bootstraps of weighted candidates.
    """
    if not validation.has_background:
        return ModelWorkingPoints()
    try:
        points = derived(trial, validation)
        return ModelWorkingPoints(points, closure(points, test, rng=rng))
    except DataError as error:
        return ModelWorkingPoints(reason=str(error))


def derived(trial: Trial, validation: Predictions) -> WorkingPoints:
    """Derive a trial's working points from its model's predictions on the validation split.

    Raises:
        DataError: see `tauopt.metrics.working_points.working_point_set.derive`.
    """
    points = derive(validation, trial.experiment.working_points)
    of = {MODEL: trial.sha256, DATASET: trial.dataset_digest, "split": "validation"}
    return replace(points, origin={**points.origin, **of})


def write_points(shipped: ModelWorkingPoints, folder: Path, *, sample: SampleLabel) -> list[Path]:
    """Write the working points, and the figures of their closure: `closure_1p.png`, ...

    Returns:
        the files; none without working points.
    """
    if shipped.points is None:
        return []
    files = [folder / FILE]
    write_bytes(folder / FILE, shipped.text.encode())
    for prongs, part in shipped.closures.items():
        if (drawn := closure_figure(part, prongs=prongs, sample=sample)) is not None:
            files += save_figure(*drawn, folder, name=f"closure_{prongs}")
    return files


def working_points_of(
    client: MlflowClient, trial: Trial, *, open_dataset: Callable[[], PreparedDataset]
) -> WorkingPoints:
    """Return a trial's working points: those of its promotion, or else derived anew.

    Args:
        client: from `tracking.client.connect`.
        trial: from `reference.find_trial`.
        open_dataset: gives the prepared dataset that the trial was trained on; called if they
            have to be derived.
    Raises:
        DataError: there are none, and none can be derived (no background, too little signal).
        CorruptError: the recorded ones are of another model, or damaged.
        ServiceError: MLflow does not answer.
    """
    found = recorded(client, trial)
    if found is not None:
        return found
    dataset = open_dataset()
    if dataset.digest != trial.dataset_digest:
        raise DataError(
            f"working points of {trial.name} are derived on the dataset that it was trained on, "
            f"with digest {trial.dataset_digest}; {dataset.folder} has {dataset.digest}"
        )
    what = reading(trial.experiment, dataset)
    model = load_model(trial.model, sha256=trial.sha256)
    return derived(trial, predict_split(model, what, dataset, split=dataset.validation))


def recorded(client: MlflowClient, trial: Trial) -> WorkingPoints | None:
    """Return the working points that a promotion recorded with a trial's run; None if none did.

    Raises:
        CorruptError: they are of another model, or damaged.
        ServiceError: MLflow does not answer.
    """
    if not trial.run_id:
        return None
    name = f"{FOLDER}/{FILE}"
    files = again(lambda: [file.path for file in client.list_artifacts(trial.run_id, FOLDER)])
    if name not in files:
        return None
    with tempfile.TemporaryDirectory(prefix="tauopt-points-") as folder:
        path = Path(again(lambda: client.download_artifacts(trial.run_id, name, folder)))
        content = path.read_bytes()
    try:
        points = WorkingPoints.from_json(json.loads(content))
    except (ValueError, CorruptError) as error:
        raise CorruptError(f"{name} of run {trial.run_id} is damaged: {error}") from error
    if points.origin.get(MODEL) != trial.sha256:
        raise CorruptError(
            f"{name} of run {trial.run_id} is of a model with sha256 {points.origin.get(MODEL)}; "
            f"the run's has {trial.sha256}"
        )
    return points
