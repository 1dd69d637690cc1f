"""The working points that a trial's model brings along."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.deploy.trial import Trial
from tauopt.errors import CorruptError
from tauopt.evaluation.working_points import FILE, WorkingPoints
from tauopt.tracking.registry import again

if TYPE_CHECKING:
    from mlflow import MlflowClient


def points_of(client: MlflowClient, trial: Trial) -> WorkingPoints | None:
    """Read the working points of a trial, from its folder or from its run; None if it has none.

    Raises:
        CorruptError: they are not whole.
        ServiceError: MLflow does not answer.
    """
    beside = trial.model.parent / FILE
    if beside.is_file():
        return _parsed(beside)
    if not trial.run_id:
        return None
    names = again(lambda: [file.path for file in client.list_artifacts(trial.run_id)])
    if FILE not in names:
        return None
    with tempfile.TemporaryDirectory(prefix="tauopt-points-") as folder:
        return _parsed(Path(again(lambda: client.download_artifacts(trial.run_id, FILE, folder))))


def _parsed(path: Path) -> WorkingPoints:
    try:
        return WorkingPoints.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, CorruptError) as error:
        raise CorruptError(f"{path}: {error}") from error
