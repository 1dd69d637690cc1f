"""Add, replace or remove files among a run's artifacts: a folder of results, or the model."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.tracking.replay import MODEL_PATH, MODEL_SHA256
from tauopt.tracking.retries import retry
from tauopt.tracking.runs import log_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

COLLECTED = "tauopt.collected"
"""Tag of a run whose model was removed: the reason."""


def log_files(client: MlflowClient, run_id: str, files: Iterable[Path], *, folder: str) -> None:
    """Copy files of this machine into a folder of a run's artifacts.

    Raises:
        ServiceError: MLflow does not answer.
    """
    for path in files:
        retry(partial(log_file, client, run_id, path, folder=folder))


def replace_folder(
    client: MlflowClient, run_id: str, files: Iterable[Path], *, folder: str
) -> None:
    """Replace the content of a folder of a run's artifacts.

    Args:
        client: from `connect`.
        run_id: MLflow id of the run.
        files: files on this machine that become the content.
        folder: path inside the run's artifacts.
    Raises:
        ServiceError: MLflow does not answer.
    """
    if retry(lambda: client.list_artifacts(run_id, folder)):
        _delete(client, retry(lambda: client.get_run(run_id)), folder)
    log_files(client, run_id, files, folder=folder)


def _delete(client: MlflowClient, run: Run, folder: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    uri = run.info.artifact_uri
    repository = get_artifact_repository(uri, tracking_uri=client.tracking_uri)
    retry(partial(repository.delete_artifacts, folder))


def registered_as(client: MlflowClient, run_id: str) -> str:
    """Return `registered as NAME version N` for the model of a run; empty if not registered.

    Raises:
        ServiceError: the registry does not answer.
    """
    query = f"run_id='{run_id}'"
    versions = retry(lambda: client.search_model_versions(query, max_results=1))
    return f"registered as {versions[0].name} version {versions[0].version}" if versions else ""


def has_model(client: MlflowClient, run_id: str) -> bool:
    """Return whether a run has a model, by its tags.

    Raises:
        ServiceError: MLflow does not answer.
    """
    return MODEL_SHA256 in retry(lambda: client.get_run(run_id)).data.tags


def remove_model(client: MlflowClient, run_id: str, *, why: str) -> None:
    """Remove the model from a run's artifacts; a second call completes an interrupted one.

    Args:
        client: from `connect`.
        run_id: MLflow id of the run.
        why: reason, kept in the tag `tauopt.collected`.
    Raises:
        ServiceError: MLflow does not answer.
    """
    run = retry(lambda: client.get_run(run_id))
    path = run.data.tags.get(MODEL_PATH, "")
    retry(partial(client.set_tag, run_id, COLLECTED, why))
    if path:
        names = retry(lambda: [file.path for file in client.list_artifacts(run_id)])
        top = path.partition("/")[0]  # the model's own folder
        if top in names:
            _delete(client, run, top)
    # The tags go last: as long as they are there, another call begins again.
    for tag in (MODEL_PATH, MODEL_SHA256):
        if tag in run.data.tags:
            retry(partial(client.delete_tag, run_id, tag))
