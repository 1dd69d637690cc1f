"""Files in a folder of a run's artifacts: added, or replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.tracking.retries import again
from tauopt.tracking.runs import log_file

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_files(client: MlflowClient, run_id: str, files: Iterable[Path], *, folder: str) -> None:
    """Copy files of this machine into a folder of a run's artifacts.

    Raises:
        ServiceError: MLflow does not answer.
    """
    for path in files:
        again(partial(log_file, client, run_id, path, folder=folder))


def replace_folder(
    client: MlflowClient, run_id: str, files: Iterable[Path], *, folder: str
) -> None:
    """Put files into a folder of a run's artifacts, and take out what was there before.

    Args:
        client: from `connect`.
        run_id: of the run.
        files: on this machine.
        folder: inside the run's artifacts.
    Raises:
        ServiceError: MLflow does not answer.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    there = again(lambda: client.list_artifacts(run_id, folder))
    if there:
        root = again(lambda: client.get_run(run_id)).info.artifact_uri
        repository = get_artifact_repository(root, tracking_uri=client.tracking_uri)
        again(partial(repository.delete_artifacts, folder))
    log_files(client, run_id, files, folder=folder)
