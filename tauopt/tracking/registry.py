"""MLflow's model registry: one version for each digest of a model file, and the alias `champion`.

Registering the same file twice gives the same version, the next registration completes an
interrupted one, and simultaneous registrations end with unique versions. The alias moves last, and
only if it still points to the version with which the new one was compared.
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
from tauopt.tracking.retries import or_none, retry

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
VERDICT = "tauopt.verdict"
"""Tag of a version: the verdict of its promotion as JSON."""
_LOCK = ".mlflow-alias.lock"
"""Lock file beside the embedded store's database, held while an alias moves."""


@dataclass(frozen=True)
class VersionEntry:
    """A model file with all that is stored in its version.

    Attributes:
        run_id: MLflow run of the trial that made the model.
        model: `.keras` file.
        sha256: digest of the file as recorded with the run.
        example: inputs by name, (candidate, ...); a few candidates in physical units.
        output: output of the model for the example, (candidate, class).
        card: model card, markdown: what the model is, its training data and its evaluation.
        verdict: JSON-able result of the promotion; kept in the tag `tauopt.verdict`.
        tags: further tags of the version.
        loader: module with `_load_pyfunc`, see `pack_model`.
        beside: name -> text of further files, stored beside the model.
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
    """Register a model file as a version of a registered model.

    Args:
        client: from `connect`.
        name: registered model; made if missing.
        entry: the file, and what is stored with it.
    Returns:
        The `mlflow.entities.model_registry.ModelVersion`: an earlier one if the registry holds
        this digest already.
    Raises:
        CorruptError: the file does not have the recorded digest.
        ServiceError: the registry does not answer.
        InvalidNameError: `name` is not allowed as a model's name.
    """
    set_environment()
    check_name(name, what="registered model")
    if (digest := sha256_file(entry.model)) != entry.sha256:
        raise CorruptError(f"{entry.model}: expected sha256 {entry.sha256}, got {digest}")
    retry(lambda: _make_model(client, name))
    retry(lambda: _make_version(client, name, entry))
    return retry(lambda: _only_version(client, name, entry.sha256))


def move_alias(
    client: MlflowClient, name: str, version: str, *, expected: str, alias: str = CHAMPION
) -> bool:
    """Move an alias of a registered model if it still points to the expected version.

    The comparison and the move are one atomic step: under a file lock in the embedded store, and
    under mutual exclusion by tags on a server, which has no request that does both.

    Args:
        client: from `connect`.
        name: registered model.
        version: version to which the alias shall point.
        expected: version to which it points now; empty if there is no such alias yet.
        alias: name of the alias.
    Returns:
        whether the alias now points to `version`.
    Raises:
        ServiceError: the registry does not answer.
    """
    with _exclusive(client, name, alias):
        if _version_at(client, name, alias) != expected:
            return False
        if version != expected:
            retry(lambda: client.set_registered_model_alias(name, alias, version))
        # Read again: a program other than tauopt may have moved the alias at the same time.
        return _version_at(client, name, alias) == version


@contextlib.contextmanager
def _exclusive(client: MlflowClient, name: str, alias: str) -> Iterator[None]:
    """Exclude other promotions of the same model for the length of the block."""
    file = sqlite_file(client.tracking_uri)
    with (
        locked(file.with_name(_LOCK), what=f"alias {alias}", wait=True)
        if file
        else turn(client, name)
    ):
        yield


def _version_at(client: MlflowClient, name: str, alias: str) -> str:
    version = champion(client, name, alias=alias)
    return str(version.version) if version else ""


def champion(client: MlflowClient, name: str, *, alias: str = CHAMPION) -> Any | None:
    """Return the version of `name` to which the alias points; None if there is none.

    Raises:
        ServiceError: the registry does not answer.
    """
    return retry(lambda: or_none(lambda: client.get_model_version_by_alias(name, alias)))


def version_of(client: MlflowClient, name: str, version: str) -> Any | None:
    """Return a version of `name` by its number; None if there is none.

    Raises:
        ServiceError: the registry does not answer.
    """
    return retry(lambda: or_none(lambda: client.get_model_version(name, version)))


def run_or_none(client: MlflowClient, run_id: str) -> Any | None:
    """Return a run (`mlflow.entities.Run`), also a deleted one; None if it does not exist.

    Raises:
        ServiceError: MLflow does not answer.
    """
    return retry(lambda: or_none(lambda: client.get_run(run_id)))


def fetch_model(client: MlflowClient, source: Any, *, folder: Path) -> tuple[Path, str]:
    """Copy the `.keras` file of a run or of a version into `folder`, and check its digest.

    Args:
        client: from `connect`.
        source: `mlflow.entities.Run` (from `find_run`) or `ModelVersion` (from `champion`).
        folder: folder of the copy; made if missing.
    Returns:
        The file, and its SHA-256.
    Raises:
        DataError: there is no model, or it can't be fetched.
        CorruptError: the file does not have the recorded digest.
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
    digest = sha256_file(path)
    if digest != tags[MODEL_SHA256]:
        raise CorruptError(
            f"the model of {what} was altered: expected sha256 {tags[MODEL_SHA256]}, got {digest}"
        )
    return path, digest


def has_model(source: Any) -> bool:
    """Return whether the tags of a run or a version record a model; its file may be gone."""
    is_run = hasattr(source, "data")
    tags = source.data.tags if is_run else source.tags
    return MODEL_SHA256 in tags and (MODEL_PATH in tags or not is_run)


def versions(client: MlflowClient, name: str, sha256: str = "") -> list[Any]:
    """Return the versions of a registered model, or those with one digest, in order of number."""
    query = f"name='{name}'" + (f" AND tag.`{MODEL_SHA256}`='{sha256}'" if sha256 else "")
    unsorted = client.search_model_versions(query, max_results=1000)
    return sorted(unsorted, key=lambda version: int(version.version))


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
        # Without a server MLflow would look a models:/ address up in the global store.
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
    """Keep the first version of a digest: two simultaneous registrations make two."""
    first, *others = versions(client, name, sha256)
    for other in others:
        try:
            client.delete_model_version(name, other.version)
        except Exception as error:
            if not is_rejected(error):  # rejected: the other registration has deleted it already
                raise
    return first


def _ready_model(client: MlflowClient, name: str, entry: VersionEntry) -> Any:
    """Return the complete logged model of this digest: an earlier one, or a new one."""
    from mlflow.entities import LoggedModelOutput

    earlier = _logged_model(client, entry.run_id, entry.sha256)
    if earlier is not None:
        return earlier
    logged = client.create_logged_model(
        client.get_run(entry.run_id).info.experiment_id,
        name=name,
        source_run_id=entry.run_id,
        model_type="keras",
        tags={MODEL_SHA256: entry.sha256},
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        pack_model(
            folder,
            entry.model,
            example=entry.example,
            output=entry.output,
            metadata={"sha256": entry.sha256, "run_id": entry.run_id},
            loader=entry.loader,
        )
        (folder / "README.md").write_text(entry.card)
        _write_beside(folder, entry.beside)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.log_outputs(entry.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, "READY")


def _logged_model(client: MlflowClient, run_id: str, sha256: str) -> Any | None:
    """Return the complete logged model of a run and a digest; None if there is none."""
    experiment_id = client.get_run(run_id).info.experiment_id
    models = client.search_logged_models(
        [experiment_id], filter_string=f"tags.`{MODEL_SHA256}` = '{sha256}'"
    )
    ready = (m for m in models if str(m.status) == "READY" and m.source_run_id == run_id)
    return next(ready, None)


def _write_beside(folder: Path, beside: Mapping[str, str]) -> None:
    for name, text in beside.items():
        path = (folder / MODEL_FILE).with_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def renew_beside(client: MlflowClient, version: Any, beside: Mapping[str, str]) -> None:
    """Replace files beside the model in a registered version; the model itself stays.

    Args:
        client: from `connect`.
        version: `ModelVersion`, made by `register`.
        beside: name -> text of the files, as in `VersionEntry`.
    Raises:
        DataError: another program made the version.
        ServiceError: the registry does not answer.
    """
    sha256 = version.tags.get(MODEL_SHA256, "")
    logged = retry(lambda: _logged_model(client, version.run_id, sha256))
    if logged is None:
        raise DataError(
            f"{version.name} version {version.version} was not registered by tauopt, so its files "
            "can't be replaced; register the trial again with: tauopt promote RUN-ID"
        )
    with tempfile.TemporaryDirectory() as temporary:
        _write_beside(Path(temporary), beside)
        retry(lambda: client.log_model_artifacts(logged.model_id, temporary))


def describe_version(
    client: MlflowClient, name: str, version: str, *, card: str, tags: Mapping[str, str]
) -> None:
    """Set tags and description of a version; other tags stay.

    Args:
        client: from `connect`.
        name: registered model.
        version: number of the version.
        card: model card, markdown; the new description.
        tags: tags to set.
    Raises:
        ServiceError: the registry does not answer.
    """
    for key, text in tags.items():
        retry(partial(client.set_model_version_tag, name, version, key, text))
    retry(partial(client.update_model_version, name, version, card))
