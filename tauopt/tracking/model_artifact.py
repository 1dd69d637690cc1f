"""The model among a run's artifacts: is it there, is it registered, and taking it away."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tauopt.tracking.replay import MODEL_PATH, MODEL_SHA256
from tauopt.tracking.retries import again

if TYPE_CHECKING:
    from mlflow import MlflowClient

COLLECTED = "tauopt.collected"
"""Tag of a run whose model was taken away: why."""


def registered_as(client: MlflowClient, run_id: str) -> str:
    """Return the version that a run's model is registered as; empty if it is none.

    Raises:
        ServiceError: the registry does not answer.
    """
    query = f"run_id='{run_id}'"
    found = again(lambda: client.search_model_versions(query, max_results=1))
    return f"registered as {found[0].name} version {found[0].version}" if found else ""


def has_model(client: MlflowClient, run_id: str) -> bool:
    """Say whether a run has a model, by its tags.

    Raises:
        ServiceError: MLflow does not answer.
    """
    return MODEL_SHA256 in again(lambda: client.get_run(run_id)).data.tags


def remove_model(client: MlflowClient, run_id: str, *, why: str) -> None:
    """Take the model out of a run's artifacts; a second call completes a first one.

    Args:
        client: from `connect`.
        run_id: of the run.
        why: kept as a tag.
    Raises:
        ServiceError: MLflow does not answer.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run = again(lambda: client.get_run(run_id))
    path = run.data.tags.get(MODEL_PATH, "")
    again(partial(client.set_tag, run_id, COLLECTED, why))
    if path:
        repository = get_artifact_repository(
            run.info.artifact_uri, tracking_uri=client.tracking_uri
        )
        there = again(lambda: [file.path for file in client.list_artifacts(run_id)])
        top = path.partition("/")[0]  # the model's own folder
        if top in there:
            again(partial(repository.delete_artifacts, top))
    for tag in (MODEL_PATH, MODEL_SHA256):
        if tag in run.data.tags:
            again(partial(client.delete_tag, run_id, tag))
