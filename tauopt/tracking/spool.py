"""Spool the records of a run on disk (a write-ahead log) until MLflow has them.

A trial sends no requests to MLflow. It appends records to `records.jsonl` in its own folder, each
one fsynced, and the shipper sends them to MLflow when it can. So a service that is away never stops
training, and a kill loses nothing. A line is one record::

    {"number": 3, "time_ms": 1760000000000, "kind": "metrics", "step": 2, "values": {"auc": 0.97}}
    {"number": 1, "time_ms": ..., "kind": "start", "params": {"model.units": "32"}, "tags": {}}
    {"number": 9, "time_ms": ..., "kind": "artifact", "path": "best.keras", "folder": "model",
     "sha256": "...", "bytes": 123456}

A kill can leave only the last line incomplete; the reader ignores it, and the next writer cuts it
off.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tauopt.config.source.yaml_source import Scalar
from tauopt.durable import fsync_folder, sha256_file
from tauopt.errors import DataError

SPOOL = "records.jsonl"
"""Name of the spool in the folder of its run."""

RecordKind = Literal["start", "tags", "metrics", "artifact"]
_KINDS = ("start", "tags", "metrics", "artifact")


@dataclass(frozen=True)
class Record:
    """One line of a spool."""

    number: int
    """1, 2, ... in the order of writing. This order counts, since the clock may step back."""
    time_ms: int
    """UTC, milliseconds since 1970, when it was recorded."""
    kind: RecordKind
    end: int
    """Offset in bytes of the end of the record in the spool, where the next one begins."""
    step: int = 0
    values: Mapping[str, float] | None = None
    params: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None
    path: str = ""
    """File of an artifact: relative to the spool's folder, or absolute if outside the search's."""
    folder: str = ""
    """Folder of the artifact inside the run's artifacts."""
    sha256: str = ""


class SpoolTracker:
    """Tracker of a trial: appends records to the spool in `folder`, and needs no service.

    A resumed trial opens the same folder and continues. Of a repeated metric point (same name and
    step) only the first one is sent to MLflow.
    """

    def __init__(self, folder: Path) -> None:
        """Open the spool in `folder`, make both if missing, and cut off an incomplete last line.

        Raises:
            OSError: the folder can't be written.
        """
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / SPOOL
        self._lock = threading.Lock()
        self._number = 0
        if self.path.exists():
            whole = read_records(self.folder)
            self._number = whole[-1].number if whole else 0
            os.truncate(self.path, whole[-1].end if whole else 0)
        else:
            self.path.touch()
            fsync_folder(self.folder)

    def start(self, *, params: Mapping[str, Scalar], tags: Mapping[str, str] | None = None) -> None:
        """Record the parameter values and tags of the run, at its start or when it resumes."""
        self._append(
            kind="start",
            params={key: _text(value) for key, value in params.items()},
            tags={key: str(value) for key, value in (tags or {}).items()},
        )

    def tags(self, tags: Mapping[str, str]) -> None:
        """Record tags; a later value of the same tag replaces the earlier one."""
        self._append(kind="tags", tags={key: str(value) for key, value in tags.items()})

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Record one report: metric values at a step, a whole number such as candidates seen."""
        self._append(
            kind="metrics",
            step=int(step),
            values={key: _number(value) for key, value in values.items()},
        )

    def artifact(self, path: Path, *, folder: str = "") -> None:
        """Record a finished file; the shipper copies it into `folder` of the run's artifacts.

        The file must stay where it is; if it changes later, record it again.

        Raises:
            DataError: there is no such file.
        """
        path = Path(path).absolute()
        if not path.is_file():
            raise DataError(f"artifact {path}: expected a file, found none; write it first")
        here = self.folder.absolute()
        # Relative inside the search's folder, so that the user may move that folder as a whole.
        recorded = os.path.relpath(path, here) if path.is_relative_to(here.parent) else path
        self._append(
            kind="artifact",
            path=str(recorded),
            folder=folder,
            sha256=sha256_file(path),
            bytes=path.stat().st_size,
        )

    def _append(self, **record: Any) -> None:
        with self._lock:
            self._number += 1
            content = {"number": self._number, "time_ms": time.time_ns() // 1_000_000, **record}
            line = json.dumps(content, allow_nan=False, separators=(",", ":")) + "\n"
            with self.path.open("ab", buffering=0) as stream:
                stream.write(line.encode())
                os.fsync(stream.fileno())


def read_records(folder: Path, start: int = 0) -> list[Record]:
    """Read the complete records of the spool in `folder`, from byte `start` (a record's `end`).

    Reading stops at the first incomplete line. Without a spool there are no records.
    """
    try:
        with (Path(folder) / SPOOL).open("rb") as stream:
            stream.seek(start)
            content = stream.read()
    except FileNotFoundError:
        return []
    records: list[Record] = []
    end = start
    for line in content.splitlines(keepends=True):
        end += len(line)
        record = _parse(line, end) if line.endswith(b"\n") else None
        if record is None:
            break
        records.append(record)
    return records


def _parse(line: bytes, end: int) -> Record | None:
    try:
        raw = json.loads(line)
        if raw["kind"] not in _KINDS:
            return None
        values = raw.get("values")
        return Record(
            number=int(raw["number"]),
            time_ms=int(raw["time_ms"]),
            kind=raw["kind"],
            end=end,
            step=int(raw.get("step", 0)),
            values=None if values is None else {key: float(v) for key, v in values.items()},
            params=raw.get("params"),
            tags=raw.get("tags"),
            path=raw.get("path", ""),
            folder=raw.get("folder", ""),
            sha256=raw.get("sha256", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _number(value: float) -> float | str:
    """Return a finite number itself, and one that JSON does not allow as `nan`, `inf`, `-inf`."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _text(value: Scalar) -> str:
    """Return a parameter's value as text for MLflow: `true`, `3`, `0.001`, `lstm`."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)
