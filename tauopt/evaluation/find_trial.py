"""Find a trial and its model by a run id, a registered version or a folder."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.durable import sha256_file
from tauopt.errors import CorruptError, DataError, PromotionRefused, UsageError
from tauopt.evaluation.recorded_trial import MODEL, RESULT, Trial, fetch_trial, trial_of
from tauopt.tracking.read_run import run_of_uid
from tauopt.tracking.registry import champion, run_or_none, version_of, versions
from tauopt.tracking.replay import MODEL_SHA256
from tauopt.tracking.runs import find_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEME = "models:/"
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")


def find_trial(client: MlflowClient, reference: str, *, folder: Path) -> Trial:
    """Find a trial that completed, and check its model's digest.

    Args:
        client: from `tracking.client.connect`.
        reference: the id of a run or its first letters, `models:/NAME@champion`,
            `models:/NAME/3`, or the folder of a trial.
        folder: destination of files that are fetched; made if missing.
    Raises:
        UsageError: there is no such run, version, alias or trial.
        DataError: the trial has not completed, or has no model.
        CorruptError: a file of the trial was altered.
        ServiceError: MLflow does not answer.
    """
    try:
        if reference.startswith(SCHEME):
            return _trial_of_version(client, reference, folder)
        if Path(reference).is_dir():
            return _trial_of_folder(client, Path(reference))
        return fetch_trial(client, find_run(client, reference), folder=folder)
    except PromotionRefused as refused:
        raise DataError(str(refused)) from refused


def _trial_of_version(client: MlflowClient, reference: str, folder: Path) -> Trial:
    parts = _VERSION.fullmatch(reference)
    if parts is None:
        raise UsageError(
            f"{reference}: expected models:/NAME@ALIAS, as models:/tau-id@champion, or "
            "models:/NAME/VERSION"
        )
    name, number, alias = parts["name"], parts["version"], parts["alias"]
    version = version_of(client, name, number) if number else champion(client, name, alias=alias)
    if version is None:
        known = ", ".join(str(other.version) for other in versions(client, name)) or "none"
        missing = f"version {number}" if number else f"alias {alias!r}"
        raise UsageError(f"{reference}: model {name!r} has no {missing}; its versions are: {known}")
    run = run_or_none(client, version.run_id)
    if run is None:
        raise DataError(
            f"{reference} was made by run {version.run_id}, which is gone from MLflow, as after "
            "`mlflow gc`; bring it back from a backup (tauopt restore)"
        )
    trial = fetch_trial(client, run, folder=folder)
    if version.tags.get(MODEL_SHA256) != trial.sha256:
        raise CorruptError(
            f"{reference} has a model with sha256 {version.tags.get(MODEL_SHA256)}, its run "
            f"{trial.run_id} has one with {trial.sha256}"
        )
    return trial


def _trial_of_folder(client: MlflowClient, folder: Path) -> Trial:
    if not (folder / RESULT).is_file():
        raise UsageError(
            f"{folder} is no folder of a trial that completed: expected the file {RESULT} in it, "
            "as in searches/NAME/t000 or runs/NAME"
        )
    model = folder / MODEL
    try:
        result = json.loads((folder / RESULT).read_text())
        sha256 = sha256_file(model)
        expected = result["model_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"{folder} is not whole: {error}") from error
    if sha256 != expected:
        raise CorruptError(f"{model} was altered: expected sha256 {expected}, got {sha256}")
    uid = _uid_of(folder)
    run = run_of_uid(client, uid) if uid else None
    trial = trial_of(
        result,
        model=model,
        sha256=sha256,
        run_id=run.info.run_id if run else "",
        name=result.get("name", folder.name),
        ended_ms=int(run.info.end_time or 0) if run else 0,
    )
    return replace(trial, code=run.data.tags.get("tauopt.code", "")) if run else trial


def _uid_of(folder: Path) -> str:
    """Return the uid under which a trial's folder was sent to MLflow; empty if it never was."""
    try:
        return str(json.loads((folder / "run.json").read_text())["uid"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
