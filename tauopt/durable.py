"""Atomic file writes, digests and kernel locks.

A file appears under its name only when it is whole: it is written under a temporary name, fsynced
and renamed, and its folder is fsynced. The kernel drops the locks of a process that dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tauopt.errors import InvalidNameError, LockedError, ServiceError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Allowed names of files, studies and runs."""


def check_name(name: str, *, what: str = "name") -> str:
    """Return `name` if it is safe as a file, study or run name.

    Raises:
        InvalidNameError: it holds a separator, NUL, a leading dot, non-ASCII, or is too long.
    """
    if NAME.fullmatch(name):
        return name
    raise InvalidNameError(
        f"{what} {name!r} is not allowed: expected 1 to 64 of A-Z a-z 0-9 . _ -, "
        "beginning with a letter or digit"
    )


def fsync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically: `write` fills a temporary file, which then replaces `path`.

    Args:
        path: file to make or replace.
        write: receives the temporary path, which lies beside `path`.
    """
    # Keep the suffix: libraries choose a file's format by it.
    temporary = _temporary(path).with_suffix(path.suffix)
    try:
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` whole or not at all."""
    write_with(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON (no NaN) whole or not at all; keys keep their order."""
    # Not sorted: the order of classes and of features has a meaning.
    text = json.dumps(value, indent=1, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder atomically: yield a temporary one that becomes `path` at the end of the block.

    If another process has made `path` meanwhile, its folder stays and ours is removed. If the block
    raises, nothing stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        for part in sorted(temporary.rglob("*")):
            handle = os.open(part, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        fsync_folder(temporary)
        try:
            temporary.rename(path)
        except OSError:  # another process was first: a folder that is not empty can't be replaced
            if not path.is_dir():
                raise
        fsync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_space(folder: Path, needed: float, *, what: str, remedy: str) -> None:
    """Check that a disk has enough free space for what is to be written.

    Args:
        folder: existing folder on that disk.
        needed: bytes to be written.
        what: name of the data, for the message.
        remedy: what the user can do other than free space, for the message.
    Raises:
        ServiceError: less space is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ServiceError(
            f"{folder}: {needed / 1e9:.3g} GB more are needed for {what}, {free / 1e9:.3g} GB are "
            f"free; make room, or {remedy}"
        )


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def locked(path: Path, *, what: str, wait: bool = False) -> Iterator[None]:
    """Hold the kernel lock on `path` for the length of the block.

    Args:
        path: lock file; made if missing, and left there.
        what: name of what is locked, for the message.
        wait: wait for the holder instead of raising.
    Raises:
        LockedError: another process holds the lock; the message names that process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown process"
            raise LockedError(f"{what} is held by {holder}; wait for it or stop it") from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {os.uname().nodename}\n")
        stream.flush()
        yield


def lock_holder(path: Path) -> str:
    """Return the holder of the kernel lock on `path`, without taking it; empty if there is none."""
    try:
        stream = path.open("r")
    except FileNotFoundError:
        return ""
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return stream.read().strip() or "unknown process"
    return ""


def holders(path: Path) -> list[str]:
    """Return the other processes of this machine that have a file open.

    Processes of other users are missing: the kernel hides their open files.
    """
    processes, target = [], str(path.resolve())
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):  # the process has ended, or is another user's
            if target in map(os.readlink, (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                processes.append(f"process {process.name} ({name})")
    return sorted(processes)


@contextlib.contextmanager
def locked_in_turn(
    path: Path, *, what: str, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock as `locked` does, but wait for a process that holds it.

    Args:
        path: lock file.
        what: name of what is locked, for the message.
        say: called with a message that names the holder before the wait.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path, what=what))
        except LockedError as error:
            if say:
                say(f"waiting: {error}")
            stack.enter_context(locked(path, what=what, wait=True))
        yield
