"""Check that MLflow's store can be written, and that a server asks for a password."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import ServiceError
from tauopt.tracking.client import artifact_folder, connect, shown, sqlite_file, store_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SCRATCH = "tauopt-doctor"


def check_mlflow(*, output: Path) -> str:
    """Write a run and an artifact to the store, read them back, and delete them.

    An embedded store that does not exist yet is tried in a temporary folder on the same disk.

    Returns:
        The store's address for display.
    Raises:
        ServiceError: the store can't be reached or written; the message has the remedy.
        UsageError: MLflow does not support the kind of its address.
    """
    uri = store_uri(None, output=output)
    file = sqlite_file(uri)
    if file is None or file.exists():
        _try_store(connect(None, output=output), artifact_folder(uri))
        return shown(uri)
    with _temporary_folder_near(file.parent) as folder:
        client = connect(f"sqlite:///{folder}/mlflow.db", output=folder)
        _try_store(client, folder / "mlartifacts")
    return f"{shown(uri)} (to be made by the first search)"


def check_closed(uri: str) -> str:
    """Check that a server refuses requests without a password.

    Args:
        uri: address of the server, http or https.
    Returns:
        The result in words.
    Raises:
        ServiceError: it answers without a password, or it does not answer at all.
    """
    address = f"{uri}/api/2.0/mlflow/experiments/search"
    request = urllib.request.Request(
        address, b'{"max_results": 1}', {"Content-Type": "application/json"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=15).close()
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return f"{shown(uri)} refuses access without a password"
        raise ServiceError(
            f"{shown(uri)} answers {error.code} to a request without a password, expected 401 or "
            "403; check the server's log"
        ) from error
    except OSError as error:
        raise ServiceError(f"{shown(uri)} does not answer: {error}") from error
    raise ServiceError(
        f"{shown(uri)} lets in anybody who reaches it: start it with mlflow server "
        "--app-name basic-auth, as docker-compose.yml does"
    )


def _try_store(client: MlflowClient, artifacts: Path | None) -> None:
    name = f"{_SCRATCH}-{uuid.uuid4().hex[:8]}"
    location = (artifacts / name).as_uri() if artifacts else None
    try:
        experiment_id = client.create_experiment(name, artifact_location=location)
        try:
            run_id = client.create_run(experiment_id, run_name=_SCRATCH).info.run_id
            client.log_metric(run_id, "check", 1.0)
            client.log_text(run_id, "check", "check.txt")
            files = [file.path for file in client.list_artifacts(run_id)]
            client.set_terminated(run_id)
        finally:
            client.delete_experiment(experiment_id)
    except Exception as error:
        raise ServiceError(
            f"MLflow at {shown(client.tracking_uri)} answers but can't be written: {error}; check "
            "its disk, its artifact store and the rights of its user"
        ) from error
    if files != ["check.txt"]:
        raise ServiceError(
            f"MLflow at {shown(client.tracking_uri)} lost an artifact; check its artifact store "
            "(mlflow server --artifacts-destination)"
        )


@contextmanager
def _temporary_folder_near(folder: Path) -> Iterator[Path]:
    """Make a temporary folder on the disk on which `folder` would be made."""
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    try:
        temporary = tempfile.TemporaryDirectory(dir=parent, prefix=".tauopt-doctor-")
    except OSError as error:
        raise ServiceError(
            f"the output folder can't be made in {parent} ({error.strerror}); "
            "name another one with -o or make this one writable"
        ) from error
    with temporary as path:
        yield Path(path)
