"""Runs as DESIGN.md wants them: a parent for the search, a child for each trial.

Every run carries a unique `tauopt.uid`; it is searched before it is created, so a reply that
was lost never makes a second run.
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
    # What was asked to stop can go on: MLflow's list shows a clock, and not the cross of failures.
    "STOPPED": "SCHEDULED",
}
"""State of a trial or a search -> status of its MLflow run."""

UID = "tauopt.uid"
"""Tag that is unique to a run; what a search before creating looks for."""
NOTE = "mlflow.note.content"
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag of an experiment: the UI shows it as model training rather than under generative AI."""
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


def experiment_id(client: MlflowClient, name: str, *, artifacts: Path | None = None) -> str:
    """Return the id of the experiment `name`, made if missing; safe when two make it at once.

    Args:
        client: of the store.
        name: of the experiment.
        artifacts: folder of the embedded store's artifacts; None leaves it to the server.
    Raises:
        UsageError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        location = (artifacts / name).resolve().as_uri() if artifacts else None
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=_KIND))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise UsageError(
            f"MLflow experiment {name!r} was deleted; bring it back with: "
            f"{_restore(client, 'experiments', found.experiment_id)}, "
            "or name another one in tracking.experiment"
        )
    return str(found.experiment_id)


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
    """Return the run id of a search (or a lone trial), created or taken up again as RUNNING.

    Args:
        client: from `connect`.
        experiment: MLflow experiment; made if missing.
        name: as the UI shows it.
        uid: unique and the same after a resume, e.g. `<study's uuid>`.
        tags: further tags.
        note: markdown, shown as the run's description.
        artifacts: `artifact_folder(uri)` of the embedded store.
    Raises:
        ServiceError: MLflow does not answer.
        UsageError: the experiment was deleted, or the uid is malformed.
    """
    place = experiment_id(client, experiment, artifacts=artifacts)
    return _open(client, place, name=name, uid=uid, tags={**(tags or {}), NOTE: note})


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
    """Return the run id of a trial under `parent`, created or taken up again as RUNNING.

    Args:
        client: from `connect`.
        parent: run id of the search.
        name: as the UI shows it, e.g. `t007-rnn`.
        uid: unique and the same after a resume, e.g. `<study's uuid>/t007`.
        tags: further tags.
        note: markdown, shown as the run's description.
        time_ms: when the trial began (UTC); None means now.
    """
    place = client.get_run(parent).info.experiment_id
    own = {**(tags or {}), NOTE: note, "mlflow.parentRunId": parent}
    return _open(client, place, name=name, uid=uid, tags=own, time_ms=time_ms)


def _open(
    client: MlflowClient,
    place: str,
    *,
    name: str,
    uid: str,
    tags: Mapping[str, str],
    time_ms: int | None = None,
) -> str:
    known = with_uid(client, place, uid)
    if known:
        if known[0].info.status != "RUNNING":
            resume(client, known[0].info.run_id)
        return str(known[0].info.run_id)
    run = client.create_run(
        place,
        start_time=time_ms or _now(),
        run_name=name,
        tags={**_common_tags(), **{key: v for key, v in tags.items() if v}, UID: uid},
    )
    return str(run.info.run_id)


def with_uid(client: MlflowClient, place: str, uid: str) -> list[Any]:
    """Return the runs of an experiment that carry `uid`, the oldest first: none, one, or (after
    a reply that came too late) more.
    """
    if not _UID.fullmatch(uid):
        raise UsageError(f"run uid {uid!r}: expected letters, digits and . _ / - (200 at most)")
    return list(
        client.search_runs(
            [place], filter_string=f"tags.`{UID}` = '{uid}'", order_by=["attributes.start_time ASC"]
        )
    )


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
    """Give a run the status of its end, so that a run that is not running never says RUNNING.

    Args:
        client: from `connect`.
        run_id: of the run.
        state: COMPLETE and PRUNED -> FINISHED, FAIL -> FAILED, KILLED (its process has gone) ->
            KILLED, STOPPED (on request) -> SCHEDULED.
        reason: kept in the tag `tauopt.reason` (why it failed or was stopped).
        time_ms: when it ended (UTC); None means now.
    """
    _state_tags(client, run_id, state, reason)
    client.set_terminated(run_id, status=STATUS[state], end_time=time_ms or _now())


def resume(client: MlflowClient, run_id: str) -> None:
    """Say that a run which had ended is running again."""
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
    """Log one point of each metric, all in one request; the same points again add nothing.

    Args:
        client: from `connect`.
        run_id: of the run.
        values: by the metric's name.
        at_ms: when they were found, in milliseconds since 1970.
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
        UsageError: no run, or several; names them.
    """
    if not re.fullmatch(r"[0-9a-zA-Z_-]{1,64}", prefix):
        raise UsageError(f"run id {prefix!r}: expected the first letters and digits of a run id")
    found = _runs(client, prefix)
    exact = [run for run in found if run.info.run_id == prefix]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise UsageError(_deleted(client, prefix) or _unknown(prefix))
    listed = ", ".join(f"{run.info.run_id[:12]} ({run.info.run_name})" for run in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    raise UsageError(f"run id {prefix!r} is ambiguous: {listed}{more}; give more letters")


def _runs(client: MlflowClient, prefix: str, *, deleted: bool = False) -> list[Any]:
    """Return the runs whose ids begin with `prefix`; `deleted` adds what was deleted."""
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    # MLflow's filters know LIKE for run ids on some stores only: ask exactly, then walk.
    places = [one.experiment_id for one in client.search_experiments(view_type=view)]
    found, token = [], None
    while True:
        page = client.search_runs(places, run_view_type=view, max_results=5000, page_token=token)
        found += [run for run in page if run.info.run_id.startswith(prefix)]
        token = page.token
        if not token:
            return found


def _unknown(prefix: str) -> str:
    return f"no run id begins with {prefix!r}; see: tauopt leaderboard"


def _deleted(client: MlflowClient, prefix: str) -> str:
    """Say which run of that id was deleted, and how it comes back; empty if none was."""
    found = _runs(client, prefix, deleted=True)
    if not found:
        return ""
    run = found[0]
    what = f"run {run.info.run_id} ({run.info.run_name})"
    place = client.get_experiment(run.info.experiment_id)
    if place.lifecycle_stage != "active":
        how = _restore(client, "experiments", place.experiment_id)
        return f"{what} was deleted in MLflow with its experiment {place.name!r}; back with: {how}"
    how = _restore(client, "runs", run.info.run_id)
    return f"{what} was deleted in MLflow; bring it back with: {how}"


def _restore(client: MlflowClient, kind: str, identity: str) -> str:
    """Return the command that brings a deleted run or experiment back."""
    option = "run" if kind == "runs" else "experiment"
    store = shlex.quote(shown(client.tracking_uri))
    return f"MLFLOW_TRACKING_URI={store} mlflow {kind} restore --{option}-id {identity}"


def children(client: MlflowClient, parent: str) -> list[Any]:
    """Return the trials' runs (`mlflow.entities.Run`) of a search, by name: t000, t001, ..."""
    place = client.get_run(parent).info.experiment_id
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    found, token = [], None
    while True:
        page = client.search_runs([place], query, max_results=5000, page_token=token)
        found += page
        token = page.token
        if not token:
            return sorted(found, key=lambda run: str(run.info.run_name))


def run_status(client: MlflowClient, run_id: str) -> str:
    """Return the MLflow status of a run: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.

    Raises:
        ServiceError: the run is not there.
    """
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(run_id).info.status)
    except MlflowException as error:
        raise ServiceError(f"MLflow run {run_id}: {error}") from error


def _now() -> int:
    return time.time_ns() // 1_000_000
