"""Digests of input files, remembered so that a second look costs no read."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tauopt import durable
from tauopt.errors import DataError
from tauopt.ntuples.input_globs import Signature, signature

_RACY_NS = 2_000_000_000
"""A file younger than this may change again without a new time stamp: it is not remembered."""


def digest(path: Path, *, cache: Path) -> tuple[str, Signature]:
    """Return the SHA-256 of a file's content, and the signature that it had meanwhile.

    The digest is remembered in the folder `cache` under the file's path, and believed as long
    as size, times and inode are the same.

    Raises:
        DataError: the file changes while it is read.
        OSError: it can't be read.
    """
    known = recall(path, cache=cache)
    if known:
        return known
    before = signature(path)
    found = durable.sha256_file(path)
    check_unchanged(path, before)
    if time.time_ns() - max(before.modified_ns, before.changed_ns) > _RACY_NS:
        cache.mkdir(parents=True, exist_ok=True)
        durable.write_json(
            _entry(path, cache), {"path": str(path), "signature": list(before), "sha256": found}
        )
    return found, before


def recall(path: Path, *, cache: Path) -> tuple[str, Signature] | None:
    """Return what `digest` would, if it needs no read; else None. OSError as `digest`."""
    now = signature(path)
    try:
        known = json.loads(_entry(path, cache).read_text())
        if known["signature"] == list(now):
            return str(known["sha256"]), now
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: take it again
        pass
    return None


def _entry(path: Path, cache: Path) -> Path:
    return cache / f"{durable.sha256_json(str(path))[:40]}.json"


def check_unchanged(path: Path, before: Signature) -> None:
    """Check that a file is as it was.

    Raises:
        DataError: its size, times or inode differ, or it is gone.
    """
    try:
        now: Signature | None = signature(path)
    except FileNotFoundError:
        now = None
    if now != before:
        raise DataError(f"{path}: changed while it was read; run again when it is complete")
