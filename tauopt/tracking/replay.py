"""Replay the spool of one run to MLflow, from the last saved position.

Beside the trial's `records.jsonl` lie two small files of the driver: `run.json` holds the name and
the state that the run shall have, `shipped.json` how much of the spool is in MLflow. Sending a
record twice changes nothing (MLflow identifies a metric point by name, time, step and value), so a
driver may be killed between sending and saving the position.
"""

from __future__ import annotations

import json
import logging
import posixpath
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.durable import sha256_file, write_json
from tauopt.errors import CorruptError
from tauopt.tracking import runs
from tauopt.tracking.client import is_rejected
from tauopt.tracking.dataset_input import DatasetInput, log_dataset
from tauopt.tracking.mlflow_limits import METRICS, clean, parts
from tauopt.tracking.spool import Record, read_records

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

RUN = "run.json"
SHIPPED = "shipped.json"
MODEL_SHA256 = "tauopt.model_sha256"
"""Tag of a run: digest of the `.keras` file among its artifacts."""
MODEL_PATH = "tauopt.model_path"
"""Tag of a run: path of that file inside its artifacts."""


@dataclass(frozen=True)
class ChildRun:
    """A trial's run that may not exist yet; the fields are arguments of `runs.open_child`."""

    parent: str
    name: str
    uid: str
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    dataset: DatasetInput | None = None


@dataclass(frozen=True)
class WantedRun:
    """The run as the driver wants it to be in MLflow: content of `run.json`."""

    uid: str
    run_id: str = ""
    child: ChildRun | None = None
    state: str = "RUNNING"
    reason: str = ""
    began_ms: int = 0
    """UTC, milliseconds since 1970."""
    state_ms: int = 0
    """When the state was set; UTC, milliseconds since 1970."""


@dataclass(frozen=True)
class ShippedPosition:
    """How much of the spool is in MLflow: content of `shipped.json`."""

    run_id: str = ""
    end: int = 0
    """Offset in bytes behind the last record that was sent."""
    state: str = ""
    state_ms: int = 0
    doubtful: bool = False
    """Whether a creation failed without a clear answer: a second run may turn up late."""


class Replay:
    """Sends the records and the state of one folder to its run."""

    def __init__(self, folder: Path, wanted: WantedRun) -> None:
        self.folder = folder
        self.wanted = wanted
        self.lost = ""
        """Why the run takes no more records (deleted in MLflow); empty as long as it does."""
        self._position = _read_position(folder)
        if wanted.run_id and wanted.run_id != self._position.run_id:
            self._position = ShippedPosition(run_id=wanted.run_id)
        self._sent_points: set[tuple[str, int]] = set()
        """(metric, step) of all points in MLflow."""
        self._sent_params: dict[str, str] = {}
        for record in read_records(folder):
            if record.end <= self._position.end:
                self._take_new(record)

    @property
    def run_id(self) -> str:
        """Id of the MLflow run; empty until it is created."""
        return self._position.run_id

    def left(self) -> int:
        """Return how much is not in MLflow yet: the number of records, plus 1 for a new state."""
        if self.lost:
            return 0
        return len(read_records(self.folder, self._position.end)) + self._state_differs()

    def is_complete(self) -> bool:
        """Return whether the run has ended and all of it is in MLflow, or it was deleted there."""
        return bool(self.lost) or (self.wanted.state != "RUNNING" and not self.left())

    def ship(self, client: MlflowClient) -> bool:
        """Send all records and the state that are on disk now; return False if nothing was left.

        Raises:
            Exception: whatever MLflow's client raises while the service is away; the position of
                what was sent before is saved.
        """
        if self.lost or not self.left():
            return False
        try:
            self._open_run(client)
            while records := read_records(self.folder, self._position.end):
                for batch in _batches(records):
                    self._send(client, batch, records)
                    self._save_position(end=batch[-1].end)
            self._finish_run(client)
        except Exception as error:
            if not is_rejected(error) or not self._is_deleted(client):
                raise
            self.lost = f"run {self.run_id} of {self.wanted.uid} was deleted in MLflow"
            log.warning("%s; its records stay in %s", self.lost, self.folder)
        return True

    def _state_differs(self) -> bool:
        return (self.wanted.state, self.wanted.state_ms) != (
            self._position.state,
            self._position.state_ms,
        )

    def _open_run(self, client: MlflowClient) -> None:
        changes: dict[str, Any] = {}
        starts = self.wanted.state == "RUNNING" and self._state_differs()
        if not self.run_id:
            changes["run_id"] = self._create_run(client)
        elif starts:
            runs.resume(client, self.run_id)
        if starts:
            changes |= {"state": "RUNNING", "state_ms": self.wanted.state_ms}
        if changes:
            self._save_position(**changes)

    def _create_run(self, client: MlflowClient) -> str:
        child = self.wanted.child
        if child is None:
            raise CorruptError(
                f"{self.folder / RUN}: expected a run id or a child run, got neither; restore the "
                "file from a backup, or remove it and resume its search"
            )
        try:
            run_id = runs.open_child(
                client,
                parent=child.parent,
                name=child.name,
                uid=child.uid,
                tags=child.tags,
                note=child.note,
                time_ms=self.wanted.began_ms,
            )
            if child.dataset:
                log_dataset(client, run_id, child.dataset)
        except Exception:
            if not self._position.doubtful:
                self._save_position(doubtful=True)
            raise
        return run_id

    def _finish_run(self, client: MlflowClient) -> None:
        wanted = self.wanted
        if wanted.state == "RUNNING" or not self._state_differs():
            return
        if self._position.doubtful:
            self._delete_twins(client)
        runs.finish(
            client,
            self.run_id,
            state=wanted.state,  # type: ignore[arg-type]
            reason=wanted.reason,
            time_ms=max(wanted.state_ms, wanted.began_ms),  # the clock may have stepped back
        )
        self._save_position(state=wanted.state, state_ms=wanted.state_ms, doubtful=False)

    def _delete_twins(self, client: MlflowClient) -> None:
        """Delete runs that late replies to a creation have made beside ours."""
        experiment_id = client.get_run(self.run_id).info.experiment_id
        for run in runs.with_uid(client, experiment_id, self.wanted.uid):
            if run.info.run_id != self.run_id:
                client.delete_run(run.info.run_id)

    def _send(
        self, client: MlflowClient, batch: Sequence[Record], records: Sequence[Record]
    ) -> None:
        if batch[0].kind == "artifact":
            self._send_file(client, batch[0], records)
            return
        from mlflow.entities import Metric, Param, RunTag

        before = self._sent_points.copy()
        metrics: list[Any] = []
        params: dict[str, str] = {}
        tags: dict[str, str] = {}
        for record in batch:
            new_points, new_params, new_tags = self._take_new(record)
            metrics += [Metric(k, v, record.time_ms, record.step) for k, v in new_points.items()]
            params |= new_params
            tags |= new_tags
        entities = (
            metrics,
            [Param(k, v) for k, v in params.items()],
            [RunTag(k, v) for k, v in tags.items()],
        )
        try:
            for part in parts(*entities):
                client.log_batch(self.run_id, *part)
        except Exception as error:
            # Forget the points of this batch alone: only they may be missing in MLflow. Points of
            # earlier batches stay known, since a trial that moved to another node repeats its last
            # report at a later time.
            self._sent_points = before
            if not is_rejected(error) or self._is_deleted(client):
                raise
            log.error("MLflow refuses records of %s: %s", self.wanted.uid, error)

    def _take_new(self, record: Record) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
        """Return the metric points, params and tags of a record that were not sent before.

        From now on its points and params count as sent.
        """
        points = {
            name: value
            for name, value in ((clean(k), v) for k, v in (record.values or {}).items())
            if (name, record.step) not in self._sent_points
        }
        self._sent_points.update((name, record.step) for name in points)
        params, tags = {}, dict(record.tags or {})
        for key, value in (record.params or {}).items():
            name = clean(key)
            if self._sent_params.setdefault(name, value) == value:
                params[name] = value
            else:  # a param of MLflow can't change: a tag holds the new value
                tags[f"changed.{name}"] = value
        return points, params, tags

    def _send_file(self, client: MlflowClient, record: Record, records: Sequence[Record]) -> None:
        path = self.folder / record.path
        if any(
            later.kind == "artifact"
            and later.number > record.number
            and (later.path, later.folder) == (record.path, record.folder)
            for later in records
        ):
            return  # a later record has the file's newer content
        if not path.is_file() or sha256_file(path) != record.sha256:
            log.error("artifact %s is missing or changed since it was recorded: not logged", path)
            return
        client.log_artifact(self.run_id, str(path), record.folder or None)
        if path.suffix == ".keras":
            from mlflow.entities import RunTag

            inside = posixpath.join(record.folder, path.name)
            tags = [RunTag(MODEL_SHA256, record.sha256), RunTag(MODEL_PATH, inside)]
            client.log_batch(self.run_id, tags=tags)

    def _is_deleted(self, client: MlflowClient) -> bool:
        try:
            return str(client.get_run(self.run_id).info.lifecycle_stage) != "active"
        except Exception as error:
            if is_rejected(error):
                return True
            raise

    def _save_position(self, **changes: Any) -> None:
        self._position = replace(self._position, **changes)
        write_json(self.folder / SHIPPED, asdict(self._position))


def _batches(records: Sequence[Record]) -> list[list[Record]]:
    """Group consecutive records that fit into one request; an artifact is a group of its own."""
    groups: list[list[Record]] = []
    size = 0
    for record in records:
        amount = len(record.values or {})
        fits = groups and size + amount <= METRICS and record.kind != "artifact"
        if fits and groups[-1][0].kind != "artifact":
            groups[-1].append(record)
            size += amount
        else:
            groups.append([record])
            size = amount
    return groups


def write_wanted(folder: Path, wanted: WantedRun) -> None:
    """Write `run.json` into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RUN, asdict(wanted))


def read_wanted(folder: Path) -> WantedRun | None:
    """Read `run.json` in `folder`; None if there is none yet.

    Raises:
        CorruptError: the file has other content.
    """
    try:
        raw = json.loads((folder / RUN).read_text())
        child = raw.pop("child")
        if child and child["dataset"]:
            child["dataset"] = DatasetInput(**child["dataset"])
        return WantedRun(**raw, child=ChildRun(**child) if child else None)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptError(
            f"{folder / RUN}: expected the description of a run, got {error}; restore the file "
            "from a backup, or remove it and resume its search"
        ) from error


def _read_position(folder: Path) -> ShippedPosition:
    try:
        return ShippedPosition(**json.loads((folder / SHIPPED).read_text()))
    except FileNotFoundError:
        return ShippedPosition()
    except (ValueError, TypeError):
        log.warning(
            "%s is damaged: all records are sent again, which changes nothing", folder / SHIPPED
        )
        return ShippedPosition()


def now_ms() -> int:
    """Return the present time, UTC, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
