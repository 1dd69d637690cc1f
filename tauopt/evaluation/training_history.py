"""How a trial's training went: its reports, from its folder or from MLflow."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from tauopt.evaluation.recorded_trial import Trial
from tauopt.tracking.mlflow_limits import clean
from tauopt.tracking.retries import again
from tauopt.tracking.spool import read_records

if TYPE_CHECKING:
    from mlflow import MlflowClient

SEEN = "candidates_seen"


def history(client: MlflowClient, trial: Trial) -> list[dict[str, float]]:
    """Return the reports of a trial, the first one first.

    Each has `candidates_seen`, `loss`, `val_loss`, the objective, and its `_low` and `_high`. None
    where neither its folder nor its run says anything.

    Raises:
        ServiceError: MLflow does not answer.
    """
    objective = trial.experiment.objective.first
    names = (SEEN, "loss", "val_loss", objective, f"{objective}_low", f"{objective}_high")
    by_step: dict[int, dict[str, float]] = defaultdict(dict)
    for record in read_records(trial.model.parent):
        if record.kind == "metrics" and record.values:
            known = {name: v for name, v in record.values.items() if name in names}
            by_step[record.step] = known | by_step[record.step]
    if not by_step and trial.run_id:
        for name in names:
            for point in again(partial(client.get_metric_history, trial.run_id, clean(name))):
                by_step[point.step][name] = float(point.value)
    steps = sorted(step for step, values in by_step.items() if SEEN in values)
    return [by_step[step] for step in steps]
