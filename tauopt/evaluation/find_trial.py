"""Find a trial and its model by a run id, a registered version or a folder."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.durable import sha256_file
from tauopt.errors import CorruptError, DataError, PromotionRefused, UsageError
from tauopt.evaluation.pruned_trial import is_pruned, make_results
from tauopt.evaluation.recorded_trial import MODEL, RESULT, Trial, fetch_trial, trial_of
from tauopt.tracking.read_run import run_of_uid
from tauopt.tracking.registry import champion, run_or_none, version_of, versions
from tauopt.tracking.replay import MODEL_SHA256, read_wanted
from tauopt.tracking.runs import UID, find_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEME = "models:/"
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")


def find_trial(
    client: MlflowClient, reference: str, *, folder: Path, output: Path | None = None
) -> Trial:
    """Find a trial that completed or was pruned, and check its model's digest.

    The model of a pruned trial is that of its best report; `pruned_trial` makes it when it is first
    asked for, on the machine that has the trial's folder.

    Args:
        client: from `tracking.client.connect`.
        reference: the id of a run or its first letters, `models:/NAME@champion`,
            `models:/NAME/3`, or the folder of a trial.
        folder: destination of files that are fetched; made if missing.
        output: output folder, with the folders of pruned trials; None knows of none.
    Raises:
        UsageError: there is no such run, version, alias or trial.
        DataError: the trial has neither completed nor been pruned, or has no model.
        CorruptError: a file of the trial was altered.
        ServiceError: MLflow does not answer.
    """
    try:
        if reference.startswith(SCHEME):
            return _trial_of_version(client, reference, folder)
        if Path(reference).is_dir():
            return _trial_of_folder(client, Path(reference))
        run = find_run(client, reference)
        if output is not None and run.data.tags.get("tauopt.state") == "PRUNED":
            return _pruned_trial(client, run, output)
        return fetch_trial(client, run, folder=folder)
    except PromotionRefused as refused:
        raise DataError(str(refused)) from refused


def run_of_version(client: MlflowClient, reference: str) -> tuple[Any, Any]:
    """Return a registered version and the run that made it.

    Args:
        client: from `tracking.client.connect`.
        reference: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
    Raises:
        UsageError: there is no such model, version or alias.
        DataError: the run is gone.
        ServiceError: MLflow does not answer.
    """
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
    return version, run


def _trial_of_version(client: MlflowClient, reference: str, folder: Path) -> Trial:
    version, run = run_of_version(client, reference)
    trial = fetch_trial(client, run, folder=folder)
    if version.tags.get(MODEL_SHA256) != trial.sha256:
        raise CorruptError(
            f"{reference} has a model with sha256 {version.tags.get(MODEL_SHA256)}, its run "
            f"{trial.run_id} has one with {trial.sha256}"
        )
    return trial


def folder_of(run: Any, *, output: Path) -> Path | None:
    """Return the folder of the trial that a run records, if it was trained in this output folder.

    Args:
        run: `mlflow.entities.Run`.
        output: output folder.
    """
    tags = run.data.tags
    number = tags.get("tauopt.trial", "")
    within = f"searches/*/t{int(number):03d}" if number.isdigit() else "runs/*"
    for folder in sorted(output.absolute().glob(within)):
        try:
            wanted = read_wanted(folder)
        except CorruptError:
            continue
        if wanted is not None and wanted.uid == tags.get(UID):
            return folder
    return None


def _pruned_trial(client: MlflowClient, run: Any, output: Path) -> Trial:
    folder = folder_of(run, output=output)
    if folder is None:
        raise DataError(
            f"run {run.info.run_id} ({run.info.run_name}) was pruned, and its weights are in the "
            f"output folder of its search only: name that one with -o, {output} does not have it"
        )
    return _trial_of_folder(client, folder)


def _trial_of_folder(client: MlflowClient, folder: Path) -> Trial:
    uid = uid_of(folder)
    run = run_of_uid(client, uid) if uid else None
    if is_pruned(folder):
        make_results(folder, run_id=run.info.run_id if run else "")
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
    trial = trial_of(
        result,
        model=model,
        sha256=sha256,
        run_id=run.info.run_id if run else "",
        name=result.get("name", folder.name),
        ended_ms=int(run.info.end_time or 0) if run else 0,
    )
    return replace(trial, code=run.data.tags.get("tauopt.code", "")) if run else trial


def uid_of(folder: Path) -> str:
    """Return the uid under which a trial's folder was sent to MLflow; empty if it never was."""
    try:
        return str(json.loads((folder / "run.json").read_text())["uid"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
