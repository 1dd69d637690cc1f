"""The list of runs as a search is read: a saved view of MLflow's UI, in a tag of its experiment.

The UI shows no metric beside runs until somebody chooses one. What it saves when somebody does is
an experiment's tag; its layout is not documented, and the UI leaves out a view that it can't read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tauopt.tracking.mlflow_limits import clean

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "mlflow.sharedViewState."
_CREATED_MS = 1_796_000_000_000
"""Always the same: a view that stays as it was is not written again."""
_MOST_PARAMS = 8
_COSTS = ("parameters", "latency_us")
"""Objectives that are measured on no split."""


def save_view(
    client: MlflowClient, run_id: str, objectives: Sequence[str], *, params: Sequence[str]
) -> None:
    """Save the view of a search's experiment with its objectives and parameters as columns.

    Args:
        client: from `connect`.
        run_id: of the search.
        objectives: the first one first; the view bears its name, and runs are sorted by it.
        params: that vary.
    """
    place = client.get_run(run_id).info.experiment_id
    key, view = TAG + view_key(objectives[0]), _view(objectives, params)
    if client.get_experiment(place).tags.get(key) != view:
        client.set_experiment_tag(place, key, view)


def view_key(objective: str) -> str:
    """Return the name of a view in addresses: `viewStateShareKey=tauopt-auc`."""
    return "tauopt-" + re.sub(r"\W+", "-", objective)


def _view(objectives: Sequence[str], params: Sequence[str]) -> str:
    metrics = [f"metrics.`{_metric(name)}`" for name in objectives]
    columns = [
        *metrics,
        *(f"params.`{path}`" for path in params[:_MOST_PARAMS]),
        "tags.`tauopt.study`",
        "tags.`tauopt.state`",
    ]
    state = {
        "searchFilter": "",
        "orderByKey": metrics[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
    }
    name = f"tauopt: {objectives[0]}"
    return json.dumps({"name": name, "createdAt": _CREATED_MS, "state": json.dumps(state)})


def _metric(objective: str) -> str:
    """Return the metric that a trial's run has of an objective when it has completed."""
    is_cost = objective.partition("@")[0] in _COSTS
    return clean(objective if is_cost else f"validation_{objective.replace('/', '_')}")
