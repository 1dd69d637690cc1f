"""A copy of all that an output folder holds, taken while searches run, and a way back.

What is copied first may be older than what is copied last, never newer: the studies, then the
folders of searches and runs, then MLflow's database, then its artifacts. So a copy looks like an
output folder whose drivers were killed at that moment, which is what `resume` and `sync` mend.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import tauopt
from tauopt.durable import new_folder, sha256_file, write_json
from tauopt.errors import DataError, UsageError
from tauopt.progress import Progress, Silent
from tauopt.tracking.sqlite_store import move_addresses
from tauopt.workflows.paths import make_folder, output_folder

MANIFEST = "backup.json"
_ORDER = ("studies.db", "searches", "runs", "mlflow.db", "mlartifacts")
_SERVICES = ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI")
_PASSING = (".tmp", "-journal", "-wal", "-shm")
"""Ends of the names of files that somebody is writing."""


@dataclass(frozen=True)
class BackupResult:
    """A backup that was made, or brought back."""

    folder: Path
    files: int
    bytes: int
    output: Path
    """The output folder that it is of, or was brought back to."""


def backup(
    to: Path, *, output: Path | None = None, progress: Progress | None = None
) -> BackupResult:
    """Copy studies, records, MLflow's runs and registry, and artifacts into a new folder.

    Args:
        to: folder of backups; each gets a folder in it, named after the moment (UTC).
        output: output folder; None means `tauopt-output`.
        progress: is told of each part.
    Raises:
        UsageError: nothing is there, or it lies in services, which have backups of their own.
        DataError: a database is none.
    """
    progress = progress or Silent()
    place = output_folder(output).absolute()
    _check_embedded()
    if not any((place / name).exists() for name in _ORDER):
        raise UsageError(f"{place}: nothing to back up (another -o/--output?)")
    to = make_folder(to.absolute(), option="TO")
    if to == place or to.is_relative_to(place):
        raise UsageError(f"{to}: lies in what it is to hold; choose a folder outside {place}")
    moment = datetime.now(UTC)
    folder = to / f"{moment:%Y%m%dT%H%M%S.%fZ}"
    with new_folder(folder) as copy:
        for name in _ORDER:
            if (place / name).exists():
                progress.say(f"copying {name}")
                _copy(place / name, copy / name)
        files = {str(path.relative_to(copy)): sha256_file(path) for path in _files(copy)}
        size = sum(path.stat().st_size for path in _files(copy))
        record = {"tauopt": tauopt.__version__, "made": moment.isoformat(), "output": str(place)}
        write_json(copy / MANIFEST, {**record, "files": files})
    return BackupResult(folder, len(files), size, place)


def restore(
    folder: Path, *, output: Path | None = None, progress: Progress | None = None
) -> BackupResult:
    """Bring a backup back into an output folder that is not there yet, whole or not at all.

    MLflow's addresses of artifacts are made those of the new place.

    Args:
        folder: of one backup.
        output: output folder to make; None means `tauopt-output`.
        progress: is told of each part.
    Raises:
        UsageError: no backup, or the output folder holds something.
        DataError: a file is missing or has changed.
    """
    progress = progress or Silent()
    record = _read(folder)
    place = output_folder(output).absolute()
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{place}: holds something; restore to another folder with -o/--output")
    progress.say("checking the digests")
    _check(folder, record["files"])
    if place.exists():
        place.rmdir()
    with new_folder(place) as made:
        for name in _ORDER:
            if (folder / name).exists():
                progress.say(f"bringing back {name}")
                _copy(folder / name, made / name)
        if (made / "mlflow.db").exists():
            move_addresses(made / "mlflow.db", Path(record["output"]), place)
    size = sum(path.stat().st_size for path in _files(folder))
    return BackupResult(folder, len(record["files"]), size, place)


def _check_embedded() -> None:
    for name in _SERVICES:
        if os.environ.get(name):
            raise UsageError(
                f"{name} is set: what a service holds is backed up where it runs (with the "
                f"stack: docker compose run --rm backup); unset {name} for what lies embedded"
            )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _copy(source: Path, target: Path) -> None:
    if source.suffix == ".db":
        try:
            with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
                old.backup(new)  # of one moment, although others write
        except sqlite3.Error as error:
            raise DataError(f"{source}: can't be read as SQLite ({error})") from error
    else:
        shutil.copytree(source, target, ignore=_passing, copy_function=_copy_if_there)


def _passing(folder: str, names: list[str]) -> list[str]:
    """Name what is not copied: what is being written, and locks, which have holders."""
    del folder
    return [name for name in names if name.endswith(_PASSING) or name == "lock"]


def _copy_if_there(source: str, target: str) -> None:
    """Copy a file; a checkpoint may have made room for a newer one since it was listed."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        Path(target).unlink(missing_ok=True)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        files = record["files"]
    except FileNotFoundError:
        inside = sorted(place.parent.name for place in folder.glob(f"*/{MANIFEST}"))
        hint = f"; there are {', '.join(inside)} in it" if inside else ""
        raise UsageError(f"{folder}: expected a folder of `tauopt backup`{hint}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not whole ({error}); take an earlier backup") from error
    strange = [name for name in files if PurePosixPath(name).parts[0] not in _ORDER]
    if strange or any(".." in PurePosixPath(name).parts for name in files):
        raise DataError(f"{path}: names files that no backup has: {', '.join(strange[:3])}")
    return record


def _check(folder: Path, files: dict[str, str]) -> None:
    wrong = [
        name
        for name, digest in files.items()
        if not (folder / name).is_file() or sha256_file(folder / name) != digest
    ]
    more = {str(path.relative_to(folder)) for path in _files(folder)} - set(files) - {MANIFEST}
    if wrong or more:
        names = ", ".join([*wrong, *sorted(more)][:5])
        raise DataError(
            f"{folder}: {len(wrong)} files are missing or changed and {len(more)} came to it "
            f"since it was made ({names}); take an earlier backup"
        )


def as_json(saved: BackupResult) -> dict[str, Any]:
    """Return a backup as plain values."""
    return {key: str(v) if isinstance(v, Path) else v for key, v in asdict(saved).items()}
