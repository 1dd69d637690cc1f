"""A finished trial as MLflow alone tells it: fetched, and checked before anything is loaded.

Nothing here imports TensorFlow, so what can't be promoted is refused at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.objective import ObjectiveName, parse_objective
from tauopt.errors import CorruptError, DataError, PromotionRefused
from tauopt.tracking.registry import fetch_model, has_model
from tauopt.tracking.replay import MODEL_SHA256
from tauopt.tracking.retries import again

if TYPE_CHECKING:
    from mlflow import MlflowClient

RESULT = "result.json"
"""Artifact of a run that completed: value, metrics, digests, experiment, dataset."""

MODEL = "best.keras"
"""The best network, in a trial's folder."""

_WHY_NOT = {
    "RUNNING": "still runs, or its search was killed: wait for it, or resume the search",
    "PRUNED": "was stopped early: only trials that completed can be judged",
    "FAIL": "failed",
    **dict.fromkeys(("KILLED", "STOPPED"), "was interrupted: resume its search first"),
}


@dataclass(frozen=True)
class Trial:
    """A trial that completed, with its model in a file whose digest is the recorded one."""

    run_id: str
    name: str
    """As the MLflow UI shows the run."""
    ended_ms: int
    model: Path
    sha256: str
    experiment: Experiment
    dataset: Path
    """Where the prepared dataset was; need not be there any more."""
    dataset_digest: str
    value: float
    """The objective on the validation split, as the trial recorded it."""
    result: Mapping[str, Any]
    code: str = ""
    """tauopt's version with a digest of its source, as the run has it; empty where unknown."""

    @property
    def objective(self) -> ObjectiveName:
        """What the trial was to make large; the first of several."""
        return parse_objective(self.experiment.objective.first)

    @property
    def registered_model(self) -> str:
        """Name of the registered model that it becomes a version of."""
        return self.experiment.tracking.model or self.experiment.name


def fetch_trial(client: MlflowClient, run: Any, *, folder: Path) -> Trial:
    """Fetch a trial's model and result from MLflow.

    Args:
        client: from `tracking.client.connect`.
        run: `mlflow.entities.Run`, from `tracking.runs.find_run`.
        folder: where the files shall lie; made if missing.
    Raises:
        PromotionRefused: it has not completed, has no model, or a file of it was altered.
        DataError: the model's file, or the result's, is gone.
        ServiceError: MLflow does not answer.
    """
    _check_complete(run)
    folder.mkdir(parents=True, exist_ok=True)
    if not has_model(run):
        raise PromotionRefused(
            f"run {run.info.run_id} has no model: expected the tag {MODEL_SHA256}; a search's own "
            "run has none, its trials have: see tauopt leaderboard"
        )
    try:
        model, sha256 = fetch_model(client, run, folder=folder)
    except CorruptError as error:
        raise PromotionRefused(str(error)) from error
    trial = trial_of(
        _read_result(client, run, folder),
        model=model,
        sha256=sha256,
        run_id=run.info.run_id,
        name=run.info.run_name,
        ended_ms=int(run.info.end_time),
    )
    recorded = trial.result["model_sha256"]
    if recorded != sha256:
        raise PromotionRefused(
            f"run {run.info.run_id}: {RESULT} is about model {recorded}, the run holds {sha256}"
        )
    return replace(trial, code=run.data.tags.get("tauopt.code", ""))


def trial_of(
    result: Mapping[str, Any], *, model: Path, sha256: str, run_id: str, name: str, ended_ms: int
) -> Trial:
    """Return the trial that a result is of.

    Args:
        result: what `result.json` holds.
        model, sha256: the model's file, and its digest.
        run_id, name, ended_ms: of its run in MLflow; empty and 0 if there is none.
    Raises:
        PromotionRefused: the result is not whole.
    """
    try:
        _ = result["model_sha256"]
        return Trial(
            run_id=run_id,
            name=name,
            ended_ms=ended_ms,
            model=model,
            sha256=sha256,
            experiment=Experiment.model_validate(result["experiment"]),
            dataset=Path(result["dataset_folder"]),
            dataset_digest=str(result["dataset_digest"]),
            value=float(result["value"]),
            result=result,
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise PromotionRefused(f"run {run_id or name}: {RESULT} is not whole: {error}") from error


def _check_complete(run: Any) -> None:
    tags = run.data.tags
    state = tags.get("tauopt.state", "")
    if state == "COMPLETE" and run.info.status == "FINISHED":
        return
    if not state:
        raise PromotionRefused(f"run {run.info.run_id} is none of tauopt's: it has no tauopt.state")
    why = _WHY_NOT.get(state, f"has status {run.info.status}, expected FINISHED")
    reason = tags.get("tauopt.reason", "")
    raise PromotionRefused(
        f"run {run.info.run_id} ({run.info.run_name}) {why}" + (f" ({reason})" if reason else "")
    )


def _read_result(client: MlflowClient, run: Any, folder: Path) -> Mapping[str, Any]:
    run_id = run.info.run_id
    names = again(lambda: [file.path for file in client.list_artifacts(run_id)])
    if RESULT not in names:
        raise DataError(
            f"run {run_id} has no {RESULT} among {', '.join(names) or 'none'}: bring it back from "
            "a backup (tauopt restore)"
        )
    path = again(lambda: client.download_artifacts(run_id, RESULT, str(folder)))
    try:
        result = json.loads(Path(path).read_text())
    except ValueError as error:
        raise PromotionRefused(f"run {run_id}: {RESULT} is not JSON: {error}") from error
    if not isinstance(result, dict):
        raise PromotionRefused(f"run {run_id}: {RESULT} holds no object")
    return result
