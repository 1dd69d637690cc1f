"""Does MLflow take what we would give it?"""

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

    An embedded store that does not exist yet is tried in a temporary folder where it would be.

    Returns:
        The store's address, fit to be shown.
    Raises:
        ServiceError: the store can't be reached or written; says the remedy.
        UsageError: its address is of an unknown kind.
    """
    uri = store_uri(None, output=output)
    file = sqlite_file(uri)
    if file is None or file.exists():
        _write(connect(None, output=output), artifact_folder(uri))
        return shown(uri)
    with _beside(file.parent) as folder:
        _write(connect(f"sqlite:///{folder}/mlflow.db", output=folder), folder / "mlartifacts")
    return f"{shown(uri)} (to be made by the first search)"


def check_closed(uri: str) -> str:
    """Check that a server lets nobody in who has no password.

    Returns:
        What it does, in words.
    Raises:
        ServiceError: anybody may read it, or it does not answer.
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
            return f"{shown(uri)} refuses who has none"
        raise ServiceError(f"{shown(uri)} answers {error.code} to who has no password") from error
    except OSError as error:
        raise ServiceError(f"{shown(uri)} does not answer: {error}") from error
    raise ServiceError(
        f"{shown(uri)} lets anybody in who reaches it: start it with mlflow server "
        "--app-name basic-auth, as docker-compose.yml does"
    )


def _write(client: MlflowClient, artifacts: Path | None) -> None:
    name = f"{_SCRATCH}-{uuid.uuid4().hex[:8]}"
    location = (artifacts / name).as_uri() if artifacts else None
    try:
        place = client.create_experiment(name, artifact_location=location)
        try:
            run_id = client.create_run(place, run_name=_SCRATCH).info.run_id
            client.log_metric(run_id, "check", 1.0)
            client.log_text(run_id, "check", "check.txt")
            found = [file.path for file in client.list_artifacts(run_id)]
            client.set_terminated(run_id)
        finally:
            client.delete_experiment(place)
    except Exception as error:
        raise ServiceError(
            f"MLflow at {shown(client.tracking_uri)} answers but can't be written: {error}; check "
            "its disk, its artifact store and the rights of its user"
        ) from error
    if found != ["check.txt"]:
        raise ServiceError(
            f"MLflow at {shown(client.tracking_uri)} lost an artifact; check its artifact store "
            "(mlflow server --artifacts-destination)"
        )


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Give a temporary folder on the disk on which `folder` would be made."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        temporary = tempfile.TemporaryDirectory(dir=there, prefix=".tauopt-doctor-")
    except OSError as error:
        raise ServiceError(
            f"the output folder can't be made in {there} ({error.strerror}); "
            "name another one with -o or make this one writable"
        ) from error
    with temporary as path:
        yield Path(path)
