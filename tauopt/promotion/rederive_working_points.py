"""Other working points for the champion: derived anew, the model and its verdict as they are."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.errors import DataError
from tauopt.evaluation.model_working_points import FOLDER, ship, write_points
from tauopt.evaluation.recorded_trial import Trial
from tauopt.figures.figure_style import SampleLabel
from tauopt.metrics.working_points.working_point_set import FILE
from tauopt.progress import Progress
from tauopt.promotion.judge import judge
from tauopt.promotion.model_card import model_card
from tauopt.promotion.verdict import Verdict
from tauopt.tracking import registry
from tauopt.tracking.retries import again
from tauopt.tracking.runs import log_file

if TYPE_CHECKING:
    from mlflow import MlflowClient


def renew_points(
    client: MlflowClient,
    trial: Trial,
    earlier: Verdict,
    *,
    dataset: PreparedDataset,
    rng: np.random.Generator,
    progress: Progress,
) -> Verdict:
    """Give the champion the working points of a trial's settings: in its run, version and card.

    Args:
        client: from `tracking.client.connect`.
        trial: the champion's, with the working points wanted in its experiment.
        earlier: the verdict by which it is the champion.
        dataset: that it was trained on.
        rng: of the bootstraps of weighted candidates.
        progress: told of every step.
    Returns:
        the verdict, which says what was done.
    Raises:
        DataError: none can be derived; nothing is changed then.
        PromotionRefused: see `judge`.
        ServiceError: MLflow does not answer.
    """
    judged = judge(trial, dataset, progress=progress)
    shipped = ship(trial, validation=judged.on_validation, test=judged.test, rng=rng)
    if shipped.points is None:
        why = shipped.reason or "the task has no background"
        raise DataError(f"{earlier.model} keeps its working points: {why}")
    version = again(lambda: client.get_model_version(earlier.model, earlier.version))
    progress.say(f"renewing the working points of {earlier.model} version {earlier.version}")
    sample = SampleLabel.from_dataset(trial.experiment.data, "test split")
    with tempfile.TemporaryDirectory(prefix="tauopt-points-") as folder:
        for path in write_points(shipped, Path(folder), sample=sample):
            again(partial(log_file, client, trial.run_id, path, folder=FOLDER))
    registry.renew_beside(client, version, {FILE: shipped.text})
    card = model_card(trial, judged.what, earlier, shipped=shipped)
    again(partial(client.update_model_version, earlier.model, earlier.version, card))
    names = ", ".join(shipped.points.names)
    return replace(
        earlier,
        outcome="champion already",
        reason=f"its working points are {names} now; it became version {earlier.version} since "
        f"it was {earlier.outcome}: {earlier.reason}",
    )
