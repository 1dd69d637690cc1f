"""One run's way from its folder to MLflow: what is left to bring, and bringing it.

Beside the trial's `records.jsonl` lie two small files of the driver: `run.json` says how the
run is called and which state it shall have, `shipped.json` how far it has come. Bringing a
record twice changes nothing (MLflow knows a metric point by name, time, step and value), so a
driver killed between sending and noting the position does no harm.
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
"""Tag with the digest of the `.keras` file among the run's artifacts."""
MODEL_PATH = "tauopt.model_path"
"""Tag with its path inside the run."""


@dataclass(frozen=True)
class ChildRun:
    """A trial's run that may not exist yet; arguments as of `runs.open_child`."""

    parent: str
    name: str
    uid: str
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    dataset: DatasetInput | None = None


@dataclass(frozen=True)
class WantedRun:
    """What the driver wants of a run: `run.json`."""

    uid: str
    run_id: str = ""
    child: ChildRun | None = None
    state: str = "RUNNING"
    reason: str = ""
    began_ms: int = 0
    state_ms: int = 0


@dataclass(frozen=True)
class ShippedPosition:
    """How far the shipper has come: `shipped.json`."""

    run_id: str = ""
    end: int = 0
    state: str = ""
    state_ms: int = 0
    doubtful: bool = False
    """A creation failed without a clear answer: a second run may turn up late."""


class Replay:
    """Brings one folder's records and state to its run."""

    def __init__(self, folder: Path, wanted: WantedRun) -> None:
        self.folder = folder
        self.wanted = wanted
        self.lost = ""
        """Why the run can't take records any more (deleted in MLflow); empty as long as it can."""
        self._position = _read_position(folder)
        if wanted.run_id and wanted.run_id != self._position.run_id:
            self._position = ShippedPosition(run_id=wanted.run_id)
        self._points: set[tuple[str, int]] = set()
        self._params: dict[str, str] = {}
        for record in read_records(folder):
            if record.end <= self._position.end:
                self._news(record)

    @property
    def run_id(self) -> str:
        """Id of the MLflow run; empty until it is created."""
        return self._position.run_id

    def left(self) -> int:
        """Count what is not in MLflow yet: records, and a changed state."""
        if self.lost:
            return 0
        return len(read_records(self.folder, self._position.end)) + self._state_differs()

    def over(self) -> bool:
        """Tell whether the run has ended and all of it is in MLflow."""
        return bool(self.lost) or (self.wanted.state != "RUNNING" and not self.left())

    def ship(self, client: MlflowClient) -> bool:
        """Bring what is there now; False if there was nothing.

        Raises:
            Exception: MLflow's, where it is away; what was brought before stays noted.
        """
        if self.lost or not self.left():
            return False
        try:
            self._begin(client)
            while records := read_records(self.folder, self._position.end):
                for batch in _batches(records):
                    self._bring(client, batch, records)
                    self._note(end=batch[-1].end)
            self._end(client)
        except Exception as error:
            if not is_rejected(error) or not self._is_gone(client):
                raise
            self.lost = f"run {self.run_id} of {self.wanted.uid} was deleted in MLflow"
            log.warning("%s; its records stay in %s", self.lost, self.folder)
        return True

    def _state_differs(self) -> bool:
        return (self.wanted.state, self.wanted.state_ms) != (
            self._position.state,
            self._position.state_ms,
        )

    def _begin(self, client: MlflowClient) -> None:
        changes: dict[str, Any] = {}
        begins = self.wanted.state == "RUNNING" and self._state_differs()
        if not self.run_id:
            changes["run_id"] = self._open(client)
        elif begins:
            runs.resume(client, self.run_id)
        if begins:
            changes |= {"state": "RUNNING", "state_ms": self.wanted.state_ms}
        if changes:
            self._note(**changes)

    def _open(self, client: MlflowClient) -> str:
        child = self.wanted.child
        if child is None:
            raise CorruptError(f"{self.folder / RUN}: expected a run id or a child run, got none")
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
                self._note(doubtful=True)
            raise
        return run_id

    def _end(self, client: MlflowClient) -> None:
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
        self._note(state=wanted.state, state_ms=wanted.state_ms, doubtful=False)

    def _delete_twins(self, client: MlflowClient) -> None:
        place = client.get_run(self.run_id).info.experiment_id
        for run in runs.with_uid(client, place, self.wanted.uid):
            if run.info.run_id != self.run_id:
                client.delete_run(run.info.run_id)

    def _bring(
        self, client: MlflowClient, batch: Sequence[Record], following: Sequence[Record]
    ) -> None:
        if batch[0].kind == "artifact":
            self._bring_file(client, batch[0], following)
            return
        from mlflow.entities import Metric, Param, RunTag

        before = self._points.copy()
        metrics: list[Any] = []
        params: dict[str, str] = {}
        tags: dict[str, str] = {}
        for record in batch:
            points, news, marks = self._news(record)
            metrics += [Metric(k, v, record.time_ms, record.step) for k, v in points.items()]
            params |= news
            tags |= marks
        entities = (
            metrics,
            [Param(k, v) for k, v in params.items()],
            [RunTag(k, v) for k, v in tags.items()],
        )
        try:
            for part in parts(*entities):
                client.log_batch(self.run_id, *part)
        except Exception as error:
            # Only the points of this batch may be missing in MLflow. One that an earlier batch
            # brought stays known: a trial repeats its report, at a later time, on another node.
            self._points = before
            if not is_rejected(error) or self._is_gone(client):
                raise
            log.error("MLflow refuses records of %s: %s", self.wanted.uid, error)

    def _news(self, record: Record) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
        """Return the metric points, params and tags of a record that were not there before."""
        points = {
            name: value
            for name, value in ((clean(k), v) for k, v in (record.values or {}).items())
            if (name, record.step) not in self._points
        }
        self._points.update((name, record.step) for name in points)
        params, tags = {}, dict(record.tags or {})
        for key, value in (record.params or {}).items():
            name = clean(key)
            if self._params.setdefault(name, value) == value:
                params[name] = value
            else:  # MLflow's params never change: say it in a tag
                tags[f"changed.{name}"] = value
        return points, params, tags

    def _bring_file(
        self, client: MlflowClient, record: Record, following: Sequence[Record]
    ) -> None:
        path = self.folder / record.path
        if any(
            later.kind == "artifact"
            and later.number > record.number
            and (later.path, later.folder) == (record.path, record.folder)
            for later in following
        ):
            return
        if not path.is_file() or sha256_file(path) != record.sha256:
            log.error("artifact %s is gone or changed since it was recorded: not logged", path)
            return
        client.log_artifact(self.run_id, str(path), record.folder or None)
        if path.suffix == ".keras":
            from mlflow.entities import RunTag

            inside = posixpath.join(record.folder, path.name)
            tags = [RunTag(MODEL_SHA256, record.sha256), RunTag(MODEL_PATH, inside)]
            client.log_batch(self.run_id, tags=tags)

    def _is_gone(self, client: MlflowClient) -> bool:
        try:
            return str(client.get_run(self.run_id).info.lifecycle_stage) != "active"
        except Exception as error:
            if is_rejected(error):
                return True
            raise

    def _note(self, **changes: Any) -> None:
        self._position = replace(self._position, **changes)
        write_json(self.folder / SHIPPED, asdict(self._position))


def _batches(records: Sequence[Record]) -> list[list[Record]]:
    """Group neighbours that one call can carry; an artifact goes alone."""
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
    """Note in `folder` what its run shall be."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RUN, asdict(wanted))


def read_wanted(folder: Path) -> WantedRun | None:
    """Read what the run of `folder` shall be; None if nobody said so yet.

    Raises:
        CorruptError: the note is not ours.
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
        raise CorruptError(f"{folder / RUN}: expected a run's note, got {error}") from error


def _read_position(folder: Path) -> ShippedPosition:
    try:
        return ShippedPosition(**json.loads((folder / SHIPPED).read_text()))
    except FileNotFoundError:
        return ShippedPosition()
    except (ValueError, TypeError):
        log.warning("%s is damaged: records are brought again, which changes nothing", folder)
        return ShippedPosition()


def now_ms() -> int:
    """Return the present time, UTC, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
