"""Addresses of MLflow's pages: the newest search, and its trials side by side.

They are asked from the server that serves them: importing MLflow takes seconds.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any, NamedTuple

from tauopt.errors import ServiceError
from tauopt.tracking.saved_view import TAG, view_key

_KIND = "workflowType=machine_learning"
"""Of every page: without it the UI takes runs for evaluations of language models."""
_PATIENCE_S = 30.0


class Pages(NamedTuple):
    """Where to begin to read."""

    newest: str
    """The run of the newest search or lone training; the list of experiments if there is none."""
    trials: str
    """All runs of its experiment, with objectives and parameters; empty if none was a search."""


def experiments_page(address: str) -> str:
    """Return the address of the list of experiments of a server."""
    return f"{address}/#/experiments?{_KIND}"


def pages(address: str) -> Pages:
    """Find the pages of the newest search on a server that needs no password.

    Raises:
        ServiceError: it does not answer.
    """
    experiments = _ask(address, "experiments/search", max_results=1000).get("experiments", [])
    newest = _ask(
        address,
        "runs/search",
        experiment_ids=[one["experiment_id"] for one in experiments],
        filter="tags.`tauopt.uid` != ''",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    ).get("runs", [])
    if not newest:
        return Pages(experiments_page(address), "")
    run = _search_of(address, newest[0])
    place = run["info"]["experiment_id"]
    top = f"{address}/#/experiments/{place}/runs"
    tags = next(one.get("tags", []) for one in experiments if one["experiment_id"] == place)
    key = view_key(_named(run["data"].get("params", [])).get("objective", "").partition(",")[0])
    has_view = TAG + key in _named(tags)
    return Pages(
        f"{top}/{run['info']['run_id']}?{_KIND}",
        f"{top}?{_KIND}&viewStateShareKey={key}" if has_view else "",
    )


def _search_of(address: str, run: dict[str, Any]) -> dict[str, Any]:
    """Return the run of a trial's search; a run without one as it is."""
    parent = _named(run["data"].get("tags", [])).get("mlflow.parentRunId")
    if parent is None:
        return run
    found = _ask(address, "runs/search", experiment_ids=[run["info"]["experiment_id"]],
                 filter=f"attributes.run_id = '{parent}'", max_results=1)  # fmt: skip
    return dict(found["runs"][0]) if found.get("runs") else run


def _named(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in pairs}


def _ask(address: str, what: str, **asked: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/{what}",
        json.dumps(asked).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_PATIENCE_S) as reply:
            return dict(json.load(reply))
    except (OSError, ValueError) as error:
        raise ServiceError(f"the MLflow server at {address} does not answer: {error}") from error
