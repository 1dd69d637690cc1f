"""A completed trial from its record in MLflow: model file, result, learning curves.

Nothing here imports TensorFlow, which takes seconds, so that a trial that can't be promoted is
refused at once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.objective import ObjectiveName, parse_objective
from tauopt.errors import CorruptError, DataError, PromotionRefused
from tauopt.tracking.read_run import artifact_names, metric_history, read_artifact
from tauopt.tracking.registry import fetch_model, has_model
from tauopt.tracking.replay import MODEL_SHA256
from tauopt.tracking.spool import read_records

if TYPE_CHECKING:
    from mlflow import MlflowClient

RESULT = "result.json"
"""Artifact of a run that completed: value, metrics, digests, experiment, dataset."""

MODEL = "best.keras"
"""File of the best network in a trial's folder."""

_SEEN = "candidates_seen"

_WHY_NOT = {
    "RUNNING": "still runs, or its search was killed: wait for it, or resume the search",
    "PRUNED": "was pruned: only a trial that was trained to its end can become the champion; train "
    "it on with tauopt continue {run}",
    "FAIL": "failed",
    **dict.fromkeys(("KILLED", "STOPPED"), "was interrupted: resume its search first"),
}


@dataclass(frozen=True)
class Trial:
    """A trial that completed, with its model in a file whose digest is the recorded one."""

    run_id: str
    """Id of its MLflow run; empty if there is none."""
    name: str
    """Name of the run in the MLflow UI."""
    ended_ms: int
    model: Path
    sha256: str
    experiment: Experiment
    dataset: Path
    """Folder of the prepared dataset at training; it may be gone."""
    dataset_digest: str
    value: float
    """The objective on the validation split, as the trial recorded it."""
    result: Mapping[str, Any]
    code: str = ""
    """tauopt's version with a digest of its source, from the run; empty where unknown."""

    @property
    def objective(self) -> ObjectiveName:
        """The metric that the trial maximised; the first of several."""
        return parse_objective(self.experiment.objective.first)

    @property
    def registered_model(self) -> str:
        """Name of the registered model that a promotion adds a version to."""
        return self.experiment.tracking.model or self.experiment.name


def fetch_trial(client: MlflowClient, run: Any, *, folder: Path) -> Trial:
    """Fetch a trial's model and result from MLflow.

    Args:
        client: from `tracking.client.connect`.
        run: `mlflow.entities.Run`, from `tracking.runs.find_run`.
        folder: destination of the files; made if missing.
    Raises:
        PromotionRefused: the trial has not completed, has no model, or a file of it was altered.
        DataError: the file of the model or of the result is gone.
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
        _read_result(client, run.info.run_id),
        model=model,
        sha256=sha256,
        run_id=run.info.run_id,
        name=run.info.run_name,
        ended_ms=int(run.info.end_time),
    )
    recorded = trial.result["model_sha256"]
    if recorded != sha256:
        raise PromotionRefused(
            f"run {run.info.run_id}: {RESULT} is about a model with sha256 {recorded}, the run "
            f"holds one with {sha256}"
        )
    return replace(trial, code=run.data.tags.get("tauopt.code", ""))


def trial_of(
    result: Mapping[str, Any], *, model: Path, sha256: str, run_id: str, name: str, ended_ms: int
) -> Trial:
    """Build a trial from its result.

    Args:
        result: content of `result.json`.
        model, sha256: the model's file, and its digest.
        run_id, name: of its run in MLflow; an empty id if there is none.
        ended_ms: end of the run, in milliseconds since 1970 (UTC); 0 if there is none.
    Raises:
        PromotionRefused: the result lacks a value or holds a wrong one.
    """
    try:
        _ = result["model_sha256"]  # callers compare it with the file's
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
        raise PromotionRefused(
            f"run {run.info.run_id} is none of tauopt's: expected the tag tauopt.state; see tauopt "
            "leaderboard"
        )
    why = _WHY_NOT.get(state, f"has status {run.info.status}, expected FINISHED")
    why = why.format(run=run.info.run_id)
    reason = tags.get("tauopt.reason", "")
    raise PromotionRefused(
        f"run {run.info.run_id} ({run.info.run_name}) {why}" + (f" ({reason})" if reason else "")
    )


def _read_result(client: MlflowClient, run_id: str) -> Mapping[str, Any]:
    names = artifact_names(client, run_id)
    if RESULT not in names:
        raise DataError(
            f"run {run_id} has no {RESULT} among {', '.join(names) or 'no artifacts'}: bring it "
            "back from a backup (tauopt restore)"
        )
    try:
        result = json.loads(read_artifact(client, run_id, RESULT))
    except ValueError as error:
        raise PromotionRefused(f"run {run_id}: {RESULT} is not JSON: {error}") from error
    if not isinstance(result, dict):
        raise PromotionRefused(
            f"run {run_id}: expected a JSON object in {RESULT}, got {type(result).__name__}"
        )
    return result


def history(client: MlflowClient, trial: Trial) -> list[dict[str, float]]:
    """Return the learning curves of a trial: its reports, the first one first.

    Each report has `candidates_seen`, `loss`, `val_loss`, the objective, and its `_low` and
    `_high`. They come from the trial's folder, or else from its MLflow run; the list is empty if
    neither has any.

    Raises:
        ServiceError: MLflow does not answer.
    """
    objective = trial.experiment.objective.first
    names = (_SEEN, "loss", "val_loss", objective, f"{objective}_low", f"{objective}_high")
    by_step: dict[int, dict[str, float]] = defaultdict(dict)
    for record in read_records(trial.model.parent):
        if record.kind == "metrics" and record.values:
            known = {name: value for name, value in record.values.items() if name in names}
            # A resumed training repeats reports: the first value of each step counts.
            by_step[record.step] = known | by_step[record.step]
    if not by_step and trial.run_id:
        for name in names:
            for step, value in metric_history(client, trial.run_id, name).items():
                by_step[step][name] = value
    return [by_step[step] for step in sorted(by_step) if _SEEN in by_step[step]]
