"""SHA-256 digests of input files, cached until a file changes."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tauopt import durable
from tauopt.errors import DataError
from tauopt.ntuples.input_globs import Signature, signature

_RACY_NS = 2_000_000_000
"""A file modified more recently may change again within its time stamp: it is not cached."""


def digest(path: Path, *, cache: Path) -> tuple[str, Signature]:
    """Return the SHA-256 of a file's content, and the signature that the file had then.

    The folder `cache` keeps the digest under the file's path; it is valid as long as size, times
    and inode are the same.

    Raises:
        DataError: the file changes while it is read.
        OSError: it can't be read.
    """
    cached = recall(path, cache=cache)
    if cached:
        return cached
    before = signature(path)
    sha256 = durable.sha256_file(path)
    check_unchanged(path, before)
    if time.time_ns() - max(before.modified_ns, before.changed_ns) > _RACY_NS:
        cache.mkdir(parents=True, exist_ok=True)
        durable.write_json(
            _entry(path, cache), {"path": str(path), "signature": list(before), "sha256": sha256}
        )
    return sha256, before


def recall(path: Path, *, cache: Path) -> tuple[str, Signature] | None:
    """Return the cached result of `digest`; None if there is none. OSError as `digest`."""
    now = signature(path)
    try:
        entry = json.loads(_entry(path, cache).read_text())
        if entry["signature"] == list(now):
            return str(entry["sha256"]), now
    except (OSError, ValueError, KeyError, TypeError):  # no entry yet, or a damaged one
        pass
    return None


def _entry(path: Path, cache: Path) -> Path:
    return cache / f"{durable.sha256_json(str(path))[:40]}.json"


def check_unchanged(path: Path, before: Signature) -> None:
    """Check that a file has not changed since its signature was taken.

    Raises:
        DataError: its size, times or inode differ, or it no longer exists.
    """
    try:
        now: Signature | None = signature(path)
    except FileNotFoundError:
        now = None
    if now != before:
        raise DataError(f"{path}: changed while it was read; run again when it is complete")
