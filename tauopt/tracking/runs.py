"""MLflow runs of a search: a parent run for the search, a child run for each trial.

Every run carries a unique tag `tauopt.uid`. Before a run is created, runs with its uid are
searched, so that a lost reply never makes a second run.
"""

from __future__ import annotations

import getpass
import re
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tauopt
from tauopt.errors import ServiceError, UsageError
from tauopt.tracking.client import shown
from tauopt.tracking.mlflow_limits import clean

if TYPE_CHECKING:
    from mlflow import MlflowClient

RunState = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL", "KILLED", "STOPPED"]
STATUS: Mapping[str, str] = {
    "RUNNING": "RUNNING",
    "COMPLETE": "FINISHED",
    "PRUNED": "FINISHED",
    "FAIL": "FAILED",
    "KILLED": "KILLED",
    # A search stopped on request can be resumed: MLflow shows SCHEDULED as a clock, not as failed.
    "STOPPED": "SCHEDULED",
}
"""State of a trial or a search -> status of its MLflow run."""

UID = "tauopt.uid"
"""Tag whose value is unique to a run."""
NOTE = "mlflow.note.content"
"""Tag with a run's description in markdown."""
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag of an experiment: MLflow's UI lists it under model training, not under generative AI."""
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


def experiment_id(client: MlflowClient, name: str, *, artifacts: Path | None = None) -> str:
    """Return the id of the experiment `name`; make it if missing.

    Two processes may call this for the same name at the same time.

    Args:
        client: from `connect`.
        name: name of the experiment.
        artifacts: folder of the embedded store's artifacts; None leaves it to the server.
    Raises:
        UsageError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = (artifacts / name).resolve().as_uri() if artifacts else None
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=_KIND))
        except MlflowException:  # another process may have made it meanwhile
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        raise UsageError(
            f"MLflow experiment {name!r} was deleted; bring it back with: "
            f"{_restore_command(client, 'experiments', experiment.experiment_id)}, "
            "or name another one in tracking.experiment"
        )
    return str(experiment.experiment_id)


def open_parent(
    client: MlflowClient,
    *,
    experiment: str,
    name: str,
    uid: str,
    tags: Mapping[str, str] | None = None,
    note: str = "",
    artifacts: Path | None = None,
) -> str:
    """Open the run of a search or a single training as RUNNING, and return its run id.

    Args:
        client: from `connect`.
        experiment: name of the MLflow experiment; made if missing.
        name: name of the run in the UI.
        uid: unique id, the same after a resume: `<study's uuid>`.
        tags: further tags.
        note: markdown, shown as the run's description.
        artifacts: `artifact_folder(uri)` of the embedded store.
    Raises:
        ServiceError: MLflow does not answer.
        UsageError: the experiment was deleted, or the uid is malformed.
    """
    experiment = experiment_id(client, experiment, artifacts=artifacts)
    all_tags = {**(tags or {}), NOTE: note}
    return _find_or_create(client, experiment, name=name, uid=uid, tags=all_tags)


def open_child(
    client: MlflowClient,
    *,
    parent: str,
    name: str,
    uid: str,
    tags: Mapping[str, str] | None = None,
    note: str = "",
    time_ms: int | None = None,
) -> str:
    """Open the run of a trial under `parent` as RUNNING, and return its run id.

    Args:
        client: from `connect`.
        parent: run id of the search.
        name: name of the run in the UI, e.g. `t007-rnn`.
        uid: unique id, the same after a resume: `<study's uuid>/t007`.
        tags: further tags.
        note: markdown, shown as the run's description.
        time_ms: when the trial began, UTC, in milliseconds since 1970; None means now.
    """
    experiment = client.get_run(parent).info.experiment_id
    all_tags = {**(tags or {}), NOTE: note, "mlflow.parentRunId": parent}
    return _find_or_create(client, experiment, name=name, uid=uid, tags=all_tags, time_ms=time_ms)


def _find_or_create(
    client: MlflowClient,
    experiment: str,
    *,
    name: str,
    uid: str,
    tags: Mapping[str, str],
    time_ms: int | None = None,
) -> str:
    existing = with_uid(client, experiment, uid)
    if existing:
        if existing[0].info.status != "RUNNING":
            resume(client, existing[0].info.run_id)
        return str(existing[0].info.run_id)
    run = client.create_run(
        experiment,
        start_time=time_ms or _now(),
        run_name=name,
        tags={**_common_tags(), **{key: v for key, v in tags.items() if v}, UID: uid},
    )
    return str(run.info.run_id)


def with_uid(client: MlflowClient, experiment: str, uid: str) -> list[Any]:
    """Return the runs with a uid in an experiment (by its id), the oldest first.

    There is at most one, except after a creation whose reply came too late.

    Raises:
        UsageError: the uid is malformed.
    """
    if not _UID.fullmatch(uid):
        raise UsageError(f"run uid {uid!r}: expected letters, digits and . _ / - (200 at most)")
    query, order = f"tags.`{UID}` = '{uid}'", ["attributes.start_time ASC"]
    return list(client.search_runs([experiment], filter_string=query, order_by=order))


def _common_tags() -> dict[str, str]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return {
        "mlflow.user": user,
        "mlflow.source.name": "tauopt",
        "mlflow.source.type": "LOCAL",
        "tauopt.version": tauopt.__version__,
        "tauopt.state": "RUNNING",
    }


def finish(
    client: MlflowClient,
    run_id: str,
    *,
    state: RunState,
    reason: str = "",
    time_ms: int | None = None,
) -> None:
    """End a run with the MLflow status of its state.

    Args:
        client: from `connect`.
        run_id: MLflow id of the run.
        state: COMPLETE and PRUNED -> FINISHED, FAIL -> FAILED, KILLED (its process died) -> KILLED,
            STOPPED (on request) -> SCHEDULED.
        reason: why it failed or was stopped; kept in the tag `tauopt.reason`.
        time_ms: when it ended, UTC, in milliseconds since 1970; None means now.
    """
    _state_tags(client, run_id, state, reason)
    client.set_terminated(run_id, status=STATUS[state], end_time=time_ms or _now())


def resume(client: MlflowClient, run_id: str) -> None:
    """Set a run that had ended to RUNNING again, and clear its reason."""
    _state_tags(client, run_id, "RUNNING", "")
    if client.get_run(run_id).data.tags.get("tauopt.reason"):
        client.set_tag(run_id, "tauopt.reason", "")
    client.update_run(run_id, status="RUNNING")


def _state_tags(client: MlflowClient, run_id: str, state: str, reason: str) -> None:
    from mlflow.entities import RunTag

    tags = [RunTag("tauopt.state", state)]
    if reason:
        tags.append(RunTag("tauopt.reason", reason[:5000]))
    client.log_batch(run_id, tags=tags)


def log_points(
    client: MlflowClient, run_id: str, values: Mapping[str, float], *, at_ms: int
) -> None:
    """Log one point of each metric, all in one request; repeating the call adds nothing.

    Args:
        client: from `connect`.
        run_id: MLflow id of the run.
        values: metric -> value.
        at_ms: time of the points, UTC, in milliseconds since 1970.
    """
    from mlflow.entities import Metric

    points = [Metric(clean(name), value, at_ms, step=0) for name, value in values.items()]
    client.log_batch(run_id, metrics=points)


def log_json(client: MlflowClient, run_id: str, value: Any, name: str) -> None:
    """Write `value` as the JSON artifact `name` (a path inside the run)."""
    client.log_dict(run_id, value, name)


def log_text(client: MlflowClient, run_id: str, text: str, name: str) -> None:
    """Write `text` as the artifact `name` (a path inside the run)."""
    client.log_text(run_id, text, name)


def log_file(client: MlflowClient, run_id: str, path: Path, *, folder: str = "") -> None:
    """Copy a file (a figure, a model) into `folder` of the run's artifacts."""
    client.log_artifact(run_id, str(path), folder or None)


def find_run(client: MlflowClient, prefix: str) -> Any:
    """Return the run (`mlflow.entities.Run`) whose id begins with `prefix`.

    A trial's name such as `t007-rnn` is not an id: names repeat from search to search.

    Raises:
        UsageError: no run, or several runs; the message names them.
    """
    if not re.fullmatch(r"[0-9a-zA-Z_-]{1,64}", prefix):
        raise UsageError(f"run id {prefix!r}: expected the first letters and digits of a run id")
    runs = _runs_with_prefix(client, prefix)
    exact = [run for run in runs if run.info.run_id == prefix]
    if len(exact or runs) == 1:
        return (exact or runs)[0]
    if not runs:
        unknown = f"no run id begins with {prefix!r}; see: tauopt leaderboard"
        raise UsageError(_deleted_message(client, prefix) or unknown)
    listed = ", ".join(f"{run.info.run_id[:12]} ({run.info.run_name})" for run in runs[:5])
    more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
    raise UsageError(f"run id {prefix!r} is ambiguous: {listed}{more}; give more letters")


def _runs_with_prefix(client: MlflowClient, prefix: str, *, deleted: bool = False) -> list[Any]:
    """Return the runs whose ids begin with `prefix`, also deleted ones if `deleted`."""
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    # All runs are read: only some of MLflow's stores can filter run ids by LIKE.
    ids = [experiment.experiment_id for experiment in client.search_experiments(view_type=view)]
    runs, token = [], None
    while True:
        page = client.search_runs(ids, run_view_type=view, max_results=5000, page_token=token)
        runs += [run for run in page if run.info.run_id.startswith(prefix)]
        token = page.token
        if not token:
            return runs


def _deleted_message(client: MlflowClient, prefix: str) -> str:
    """Return which run with that id was deleted, and the command to restore it; else empty."""
    runs = _runs_with_prefix(client, prefix, deleted=True)
    if not runs:
        return ""
    run = runs[0]
    what = f"run {run.info.run_id} ({run.info.run_name})"
    experiment = client.get_experiment(run.info.experiment_id)
    if experiment.lifecycle_stage != "active":
        command = _restore_command(client, "experiments", experiment.experiment_id)
        return (
            f"{what} was deleted in MLflow with its experiment {experiment.name!r}; bring both "
            f"back with: {command}"
        )
    command = _restore_command(client, "runs", run.info.run_id)
    return f"{what} was deleted in MLflow; bring it back with: {command}"


def _restore_command(client: MlflowClient, kind: str, identity: str) -> str:
    """Return the command that restores a deleted run or experiment (`runs`, `experiments`)."""
    option = "run" if kind == "runs" else "experiment"
    store = shlex.quote(shown(client.tracking_uri))
    return f"MLFLOW_TRACKING_URI={store} mlflow {kind} restore --{option}-id {identity}"


def children(client: MlflowClient, parent: str) -> list[Any]:
    """Return the trials' runs (`mlflow.entities.Run`) of a search, by name: t000, t001, ..."""
    ids = [client.get_run(parent).info.experiment_id]
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    runs, token = [], None
    while True:
        page = client.search_runs(ids, query, max_results=5000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return sorted(runs, key=lambda run: str(run.info.run_name))


def run_status(client: MlflowClient, run_id: str) -> str:
    """Return the MLflow status of a run: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.

    Raises:
        ServiceError: MLflow has no such run, or does not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(run_id).info.status)
    except MlflowException as error:
        raise ServiceError(f"MLflow run {run_id}: {error}") from error


def _now() -> int:
    return time.time_ns() // 1_000_000
