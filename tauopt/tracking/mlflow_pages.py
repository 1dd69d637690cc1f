"""Pages of MLflow's web UI: a saved view of a search's runs, and the addresses to open first.

The addresses are requested from the server over HTTP, since importing MLflow takes seconds.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tauopt.errors import ServiceError
from tauopt.tracking.mlflow_limits import clean

if TYPE_CHECKING:
    from mlflow import MlflowClient

VIEW_TAG = "mlflow.sharedViewState."
"""Prefix of the tags of an experiment that hold saved views."""
_CREATED_MS = 1_796_000_000_000
"""Constant, so that an unchanged view equals the stored one and is not written again."""
_MOST_PARAMS = 8
_COSTS = ("parameters", "latency_us")
"""Objectives that do not depend on a split."""
_WORKFLOW = "workflowType=machine_learning"
"""Part of every page's address: without it the UI shows runs as evaluations of language models."""
_TIMEOUT_S = 30.0


class Pages(NamedTuple):
    """Addresses of the pages of the newest search."""

    newest: str
    """The run of the newest search or single training; the list of experiments if there is none."""
    trials: str
    """All runs of its experiment, with objectives and parameters; empty if none was a search."""


def save_view(
    client: MlflowClient, run_id: str, objectives: Sequence[str], *, params: Sequence[str]
) -> None:
    """Save a view of a search's experiment: runs with objectives and parameters as columns.

    Args:
        client: from `connect`.
        run_id: MLflow run of the search.
        objectives: the first one names the view and sorts the runs.
        params: paths of the parameters that vary.
    """
    # The UI shows no metrics beside runs by itself. It keeps a view that a user saves in a tag of
    # the experiment; the layout is undocumented, and the UI ignores a view that it can't read.
    experiment_id = client.get_run(run_id).info.experiment_id
    tag, view = VIEW_TAG + view_key(objectives[0]), _view(objectives, params)
    if client.get_experiment(experiment_id).tags.get(tag) != view:
        client.set_experiment_tag(experiment_id, tag, view)


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
    """Return the MLflow metric of a completed trial's run that holds an objective."""
    is_cost = objective.partition("@")[0] in _COSTS
    return clean(objective if is_cost else f"validation_{objective.replace('/', '_')}")


def experiments_page(address: str) -> str:
    """Return the address of a server's list of experiments."""
    return f"{address}/#/experiments?{_WORKFLOW}"


def pages(address: str) -> Pages:
    """Find the pages of the newest search on a server that needs no password.

    Raises:
        ServiceError: the server does not answer.
    """
    experiments = _request(address, "experiments/search", max_results=1000).get("experiments", [])
    runs = _request(
        address,
        "runs/search",
        experiment_ids=[experiment["experiment_id"] for experiment in experiments],
        filter="tags.`tauopt.uid` != ''",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    ).get("runs", [])
    if not runs:
        return Pages(experiments_page(address), "")
    run = _search_run(address, runs[0])
    experiment_id = run["info"]["experiment_id"]
    top = f"{address}/#/experiments/{experiment_id}/runs"
    tags = next(e.get("tags", []) for e in experiments if e["experiment_id"] == experiment_id)
    key = view_key(_as_dict(run["data"].get("params", [])).get("objective", "").partition(",")[0])
    has_view = VIEW_TAG + key in _as_dict(tags)
    return Pages(
        f"{top}/{run['info']['run_id']}?{_WORKFLOW}",
        f"{top}?{_WORKFLOW}&viewStateShareKey={key}" if has_view else "",
    )


def _search_run(address: str, run: dict[str, Any]) -> dict[str, Any]:
    """Return the run of the search that a trial's run belongs to; any other run itself."""
    parent = _as_dict(run["data"].get("tags", [])).get("mlflow.parentRunId")
    if parent is None:
        return run
    reply = _request(address, "runs/search", experiment_ids=[run["info"]["experiment_id"]],
                     filter=f"attributes.run_id = '{parent}'", max_results=1)  # fmt: skip
    return dict(reply["runs"][0]) if reply.get("runs") else run


def _as_dict(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in pairs}


def _request(address: str, path: str, **content: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/{path}",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    # No proxy: the server is our own, on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as reply:
            return dict(json.load(reply))
    except (OSError, ValueError) as error:
        raise ServiceError(f"the MLflow server at {address} does not answer: {error}") from error
