"""Back up an output folder, also while searches run, and restore it."""

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
# What is copied first may be older than what is copied last, never newer. So a copy looks like an
# output folder whose drivers were killed at that moment, which `resume` and `sync` repair.
_ORDER = ("studies.db", "searches", "runs", "mlflow.db", "mlartifacts")
_SERVICES = ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI")
_TEMPORARY = (".tmp", "-journal", "-wal", "-shm")
"""Suffixes of files that are being written."""


@dataclass(frozen=True)
class BackupResult:
    """A backup that was made or restored."""

    folder: Path
    files: int
    bytes: int
    output: Path
    """The output folder that was copied, or that it was restored to."""


def backup(
    to: Path, *, output: Path | None = None, progress: Progress | None = None
) -> BackupResult:
    """Copy studies, records, MLflow's runs and registry, and artifacts into a new folder.

    Args:
        to: folder of backups; each is a folder in it, named after the time (UTC).
        output: output folder; None means `tauopt-output`.
        progress: receives a message for each part.
    Raises:
        UsageError: the output folder is empty, `to` lies inside it, or services hold the data,
            which have backups of their own.
        DataError: a database can't be read as SQLite.
    """
    progress = progress or Silent()
    source = output_folder(output).absolute()
    for name in _SERVICES:
        if os.environ.get(name):
            raise UsageError(
                f"{name} is set: the data of a service are backed up where it runs (with the "
                f"stack: docker compose run --rm backup); unset {name} to back up {source}"
            )
    if not any((source / name).exists() for name in _ORDER):
        raise UsageError(f"{source}: nothing to back up (another -o/--output?)")
    to = make_folder(to.absolute(), option="TO")
    if to == source or to.is_relative_to(source):
        raise UsageError(f"{to} lies inside the folder to be copied; choose one outside {source}")
    moment = datetime.now(UTC)
    folder = to / f"{moment:%Y%m%dT%H%M%S.%fZ}"
    with new_folder(folder) as copy:
        for name in _ORDER:
            if (source / name).exists():
                progress.say(f"copying {name}")
                _copy(source / name, copy / name)
        files = {str(path.relative_to(copy)): sha256_file(path) for path in _files(copy)}
        size = sum(path.stat().st_size for path in _files(copy))
        record = {"tauopt": tauopt.__version__, "made": moment.isoformat(), "output": str(source)}
        write_json(copy / MANIFEST, {**record, "files": files})
    return BackupResult(folder, len(files), size, source)


def restore(
    folder: Path, *, output: Path | None = None, progress: Progress | None = None
) -> BackupResult:
    """Restore a backup into a new output folder, completely or not at all.

    MLflow's addresses of artifacts are changed to those in the new folder.

    Args:
        folder: of one backup.
        output: output folder to make; None means `tauopt-output`.
        progress: receives a message for each part.
    Raises:
        UsageError: `folder` is no backup, or the output folder is not empty.
        DataError: a file is missing or has changed.
    """
    progress = progress or Silent()
    manifest = _read_manifest(folder)
    target = output_folder(output).absolute()
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty; restore to another folder with -o/--output")
    progress.say("checking the digests")
    _check(folder, manifest["files"])
    if target.exists():
        target.rmdir()
    with new_folder(target) as made:
        for name in _ORDER:
            if (folder / name).exists():
                progress.say(f"restoring {name}")
                _copy(folder / name, made / name)
        if (made / "mlflow.db").exists():
            move_addresses(made / "mlflow.db", Path(manifest["output"]), target)
    size = sum(path.stat().st_size for path in _files(folder))
    return BackupResult(folder, len(manifest["files"]), size, target)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _copy(source: Path, target: Path) -> None:
    if source.suffix == ".db":
        try:
            with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
                old.backup(new)  # a consistent copy, although others write
        except sqlite3.Error as error:
            raise DataError(f"{source}: can't be read as SQLite ({error})") from error
    else:
        shutil.copytree(source, target, ignore=_ignored, copy_function=_copy_file)


def _ignored(folder: str, names: list[str]) -> list[str]:
    """Return the names that are not copied: unfinished files and locks."""
    del folder
    return [name for name in names if name.endswith(_TEMPORARY) or name == "lock"]


def _copy_file(source: str, target: str) -> None:
    """Copy a file, unless it is gone: a newer checkpoint replaces one that was listed."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        Path(target).unlink(missing_ok=True)


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Read a backup's manifest; raises UsageError or DataError, as `restore`."""
    path = folder / MANIFEST
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        files = record["files"]
    except FileNotFoundError:
        backups = sorted(manifest.parent.name for manifest in folder.glob(f"*/{MANIFEST}"))
        hint = f"; there are {', '.join(backups)} in it" if backups else ""
        raise UsageError(f"{folder}: expected a folder of `tauopt backup`{hint}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); take an earlier backup") from error
    # A manifest must not lead to files outside the backup.
    paths = {name: PurePosixPath(name).parts for name in files}
    foreign = [name for name, parts in paths.items() if parts[0] not in _ORDER or ".." in parts]
    if foreign:
        raise DataError(f"{path} names files that no backup has: {', '.join(foreign[:3])}")
    return record


def _check(folder: Path, files: dict[str, str]) -> None:
    """Compare the files of a backup with their digests; raises DataError where they differ."""
    wrong = [
        name
        for name, digest in files.items()
        if not (folder / name).is_file() or sha256_file(folder / name) != digest
    ]
    added = {str(path.relative_to(folder)) for path in _files(folder)} - set(files) - {MANIFEST}
    if wrong or added:
        names = ", ".join([*wrong, *sorted(added)][:5])
        raise DataError(
            f"{folder}: {len(wrong)} files are missing or changed and {len(added)} were added "
            f"since the backup was made ({names}); take an earlier backup"
        )


def as_json(result: BackupResult) -> dict[str, Any]:
    """Return a backup's result as JSON values."""
    return {key: str(v) if isinstance(v, Path) else v for key, v in asdict(result).items()}
