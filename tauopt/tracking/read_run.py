"""Read a run from MLflow: its artifacts, the history of a metric, the run with a uid."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.tracking.mlflow_limits import clean
from tauopt.tracking.retries import retry
from tauopt.tracking.runs import UID

if TYPE_CHECKING:
    from mlflow import MlflowClient


def artifact_names(client: MlflowClient, run_id: str, *, folder: str = "") -> list[str]:
    """List the artifacts in a folder of a run, as paths from the root of its artifacts.

    Args:
        client: from `connect`.
        run_id: MLflow id of the run.
        folder: path inside the run's artifacts; empty means the root.
    Raises:
        ServiceError: MLflow does not answer.
    """
    files = retry(partial(client.list_artifacts, run_id, folder or None))
    return [file.path for file in files]


def read_artifact(client: MlflowClient, run_id: str, name: str) -> bytes:
    """Return the content of an artifact, by its path from the root of the run's artifacts.

    Raises:
        ServiceError: MLflow does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="tauopt-artifact-") as folder:
        path = retry(partial(client.download_artifacts, run_id, name, folder))
        return Path(path).read_bytes()


def metric_history(client: MlflowClient, run_id: str, name: str) -> dict[int, float]:
    """Return a metric of a run as step -> value; empty if the run has no such metric.

    Raises:
        ServiceError: MLflow does not answer.
    """
    points = retry(partial(client.get_metric_history, run_id, clean(name)))
    return {point.step: float(point.value) for point in points}


def run_of_uid(client: MlflowClient, uid: str) -> Any | None:
    """Return the run (`mlflow.entities.Run`) with a uid; None if there is none.

    Raises:
        ServiceError: MLflow does not answer.
    """
    ids = [experiment.experiment_id for experiment in retry(client.search_experiments)]
    if not ids or "'" in uid:  # a quote would end the text in the query
        return None
    query = f"tags.`{UID}` = '{uid}'"
    runs = retry(partial(client.search_runs, ids, query))
    return runs[0] if runs else None
