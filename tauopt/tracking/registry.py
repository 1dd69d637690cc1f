"""The registry: versions of a model, one a digest, and the alias `champion`.

Registering the same file twice gives the same version; a registration that was cut short is
completed by the next one; several at once end with unique versions. The alias is moved last, and
only from where it was when the decision fell.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tauopt.durable import check_name, locked, sha256_file
from tauopt.errors import CorruptError, DataError
from tauopt.tracking.client import is_rejected, set_environment, sqlite_file
from tauopt.tracking.model_packing import MODEL_FILE, pack_model
from tauopt.tracking.registry_turns import turn
from tauopt.tracking.replay import MODEL_PATH, MODEL_SHA256
from tauopt.tracking.retries import again, or_none

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
VERDICT = "tauopt.verdict"
"""Tag of a version: the verdict as JSON."""
_LOCK = ".mlflow-alias.lock"
"""File beside the embedded store's database that is held while an alias moves."""


@dataclass(frozen=True)
class VersionEntry:
    """What becomes a version.

    Attributes:
        run_id: of the trial that made the model.
        model: `.keras` file.
        sha256: its digest as recorded with the run.
        example: inputs by name, (candidate, ...); a few candidates.
        output: the model's output for them, (candidate, class).
        card: markdown that tells what the model is, on what it was trained and judged.
        verdict: JSON-able; kept in the tag `tauopt.verdict`.
        tags: further tags of the version.
        loader: as of `pack_model`.
        beside: name -> text of files that lie beside the model in the version.
    """

    run_id: str
    model: Path
    sha256: str
    example: Mapping[str, np.ndarray]
    output: np.ndarray
    card: str
    verdict: Mapping[str, Any]
    tags: Mapping[str, str]
    loader: str = "mlflow.tensorflow"
    beside: Mapping[str, str] = field(default_factory=dict)


def register(client: MlflowClient, name: str, entry: VersionEntry) -> Any:
    """Make a model file the version of a registered model.

    Args:
        client: from `connect`.
        name: registered model; made if missing.
        entry: the file and what is told of it.
    Returns:
        The `mlflow.entities.model_registry.ModelVersion`: an earlier one if the registry holds
        this digest already.
    Raises:
        CorruptError: the file is not the one that was recorded.
        ServiceError: the registry does not answer.
        InvalidNameError: `name` may not become a model's name.
    """
    set_environment()
    check_name(name, what="registered model")
    if sha256_file(entry.model) != entry.sha256:
        raise CorruptError(f"{entry.model}: expected sha256 {entry.sha256}, got another one")
    again(lambda: _make_model(client, name))
    again(lambda: _make_version(client, name, entry))
    return again(lambda: _only_version(client, name, entry.sha256))


def move_alias(
    client: MlflowClient, name: str, version: str, *, expected: str, alias: str = CHAMPION
) -> bool:
    """Move an alias, unless it points elsewhere by now than it is expected to.

    Looking and moving are one: under a lock in the embedded store, in turns on a server, which has
    no request that does both.

    Args:
        client: from `connect`.
        name: registered model.
        version: that the alias is to point to.
        expected: that it points to before; empty where there is no such alias.
        alias: to be moved.
    Returns:
        whether it points to `version`, moved by this call or pointing there as expected.
    Raises:
        ServiceError: the registry does not answer.
    """
    with _alone(client, name, alias):
        if _version_at(client, name, alias) != expected:
            return False
        if version != expected:
            again(lambda: client.set_registered_model_alias(name, alias, version))
        # Looked at again, for programs that take no turns.
        return _version_at(client, name, alias) == version


@contextlib.contextmanager
def _alone(client: MlflowClient, name: str, alias: str) -> Iterator[None]:
    """Let one promotion after the other be in the block."""
    file = sqlite_file(client.tracking_uri)
    with (
        locked(file.with_name(_LOCK), what=f"alias {alias}", wait=True)
        if file
        else turn(client, name)
    ):
        yield


def _version_at(client: MlflowClient, name: str, alias: str) -> str:
    present = champion(client, name, alias=alias)
    return str(present.version) if present else ""


def champion(client: MlflowClient, name: str, *, alias: str = CHAMPION) -> Any | None:
    """Return the version of `name` that the alias points to; None if there is none.

    Raises:
        ServiceError: the registry does not answer.
    """
    return again(lambda: or_none(lambda: client.get_model_version_by_alias(name, alias)))


def version_of(client: MlflowClient, name: str, version: str) -> Any | None:
    """Return a version of `name` by its number; None if there is none.

    Raises:
        ServiceError: the registry does not answer.
    """
    return again(lambda: or_none(lambda: client.get_model_version(name, version)))


def run_or_none(client: MlflowClient, run_id: str) -> Any | None:
    """Return a run (`mlflow.entities.Run`), also a deleted one; None if it is gone for good.

    Raises:
        ServiceError: MLflow does not answer.
    """
    return again(lambda: or_none(lambda: client.get_run(run_id)))


def fetch_model(client: MlflowClient, source: Any, *, folder: Path) -> tuple[Path, str]:
    """Copy the `.keras` file of a run or of a version into `folder`, and check its digest.

    Args:
        client: from `connect`.
        source: `mlflow.entities.Run` (from `find_run`) or `ModelVersion` (from `champion`).
        folder: where the copy shall lie.
    Returns:
        The file, and its SHA-256.
    Raises:
        DataError: there is no model.
        CorruptError: it is not the one that was recorded.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    is_run = hasattr(source, "data")
    tags = source.data.tags if is_run else source.tags
    what = f"run {source.info.run_id}" if is_run else f"{source.name} version {source.version}"
    if not has_model(source):
        raise DataError(f"{what} has no model: expected the tag {MODEL_SHA256}")
    folder.mkdir(parents=True, exist_ok=True)
    root = source.info.artifact_uri if is_run else source.source
    inside = tags[MODEL_PATH] if is_run else MODEL_FILE
    try:
        path = Path(
            download_artifacts(
                artifact_uri=f"{root}/{inside}",
                dst_path=str(folder),
                tracking_uri=client.tracking_uri,
            )
        )
    except (MlflowException, OSError) as error:
        cause = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise DataError(
            f"the model of {what} can't be fetched from {root}/{inside}: {cause}; bring the file "
            "back from a backup (tauopt restore), or train it again (tauopt reproduce)"
        ) from error
    found = sha256_file(path)
    if found != tags[MODEL_SHA256]:
        raise CorruptError(
            f"the model of {what} was altered: expected sha256 {tags[MODEL_SHA256]}, got {found}"
        )
    return path, found


def has_model(source: Any) -> bool:
    """Say whether a run or a version has the record of a model; its file may be gone."""
    is_run = hasattr(source, "data")
    tags = source.data.tags if is_run else source.tags
    return MODEL_SHA256 in tags and (MODEL_PATH in tags or not is_run)


def versions(client: MlflowClient, name: str, sha256: str = "") -> list[Any]:
    """Return the versions of a registered model, or those of one digest; the first one first."""
    query = f"name='{name}'" + (f" AND tag.`{MODEL_SHA256}`='{sha256}'" if sha256 else "")
    found = client.search_model_versions(query, max_results=1000)
    return sorted(found, key=lambda version: int(version.version))


def _make_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, tags={"tauopt": "true"})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _make_version(client: MlflowClient, name: str, entry: VersionEntry) -> None:
    if versions(client, name, entry.sha256):
        return
    logged = _ready_model(client, name, entry)
    remote = client.tracking_uri.startswith(("http", "databricks"))
    client.create_model_version(
        name,
        # A database behind no server would look a models:/ address up in the global store.
        source=f"models:/{logged.model_id}" if remote else logged.artifact_location,
        run_id=entry.run_id,
        model_id=logged.model_id,
        tags={
            **entry.tags,
            MODEL_SHA256: entry.sha256,
            VERDICT: json.dumps(entry.verdict, sort_keys=True),
        },
        description=entry.card,
    )


def _only_version(client: MlflowClient, name: str, sha256: str) -> Any:
    """Keep the first version of a digest; two registrations at once made two."""
    first, *others = versions(client, name, sha256)
    for other in others:
        try:
            client.delete_model_version(name, other.version)
        except Exception as error:
            if not is_rejected(error):  # the other registration has deleted it as well
                raise
    return first


def _ready_model(client: MlflowClient, name: str, entry: VersionEntry) -> Any:
    """Return the logged model of this digest, whole: an earlier one, or a new one."""
    from mlflow.entities import LoggedModelOutput

    known = _logged_model(client, entry.run_id, entry.sha256)
    if known is not None:
        return known
    place = client.get_run(entry.run_id).info.experiment_id
    logged = client.create_logged_model(
        place,
        name=name,
        source_run_id=entry.run_id,
        model_type="keras",
        tags={MODEL_SHA256: entry.sha256},
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        facts = {"sha256": entry.sha256, "run_id": entry.run_id}
        pack_model(
            folder,
            entry.model,
            example=entry.example,
            output=entry.output,
            metadata=facts,
            loader=entry.loader,
        )
        (folder / "README.md").write_text(entry.card)
        _write_beside(folder, entry.beside)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.log_outputs(entry.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, "READY")


def _logged_model(client: MlflowClient, run_id: str, sha256: str) -> Any | None:
    """Return the whole logged model of a run and a digest; None if there is none."""
    place = client.get_run(run_id).info.experiment_id
    found = client.search_logged_models(
        [place], filter_string=f"tags.`{MODEL_SHA256}` = '{sha256}'"
    )
    ready = (one for one in found if str(one.status) == "READY" and one.source_run_id == run_id)
    return next(ready, None)


def _write_beside(folder: Path, beside: Mapping[str, str]) -> None:
    for name, text in beside.items():
        path = (folder / MODEL_FILE).with_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def renew_beside(client: MlflowClient, version: Any, beside: Mapping[str, str]) -> None:
    """Replace files that lie beside the model in a version; the model stays as it is.

    Args:
        client: from `connect`.
        version: `ModelVersion`, made by `register`.
        beside: as in `VersionEntry`.
    Raises:
        DataError: another program made the version.
        ServiceError: the registry does not answer.
    """
    sha256 = version.tags.get(MODEL_SHA256, "")
    logged = again(lambda: _logged_model(client, version.run_id, sha256))
    if logged is None:
        raise DataError(f"{version.name} version {version.version} is of no model of tauopt's")
    with tempfile.TemporaryDirectory() as temporary:
        _write_beside(Path(temporary), beside)
        again(lambda: client.log_model_artifacts(logged.model_id, temporary))


def describe_version(
    client: MlflowClient, name: str, version: str, *, card: str, tags: Mapping[str, str]
) -> None:
    """Set tags and description of a version; other tags stay.

    Args:
        client: from `connect`.
        name: registered model.
        version: of it.
        card: markdown, the new description.
        tags: to be set.
    Raises:
        ServiceError: the registry does not answer.
    """
    for key, text in tags.items():
        again(partial(client.set_model_version_tag, name, version, key, text))
    again(partial(client.update_model_version, name, version, card))
