"""Globs -> files, and what tells that a file has changed."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tauopt.errors import DataError, nearest


class Signature(NamedTuple):
    """What of a file changes when its content does, without reading it."""

    bytes: int
    modified_ns: int
    changed_ns: int
    inode: int


def signature(path: Path) -> Signature:
    """Look at a file; OSError if it is not there."""
    status = path.stat()
    return Signature(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def expand(globs: Sequence[str]) -> tuple[Path, ...]:
    """Expand path globs (`**` included) to absolute files, sorted, each once.

    Raises:
        DataError: a glob matches no file, or is a remote address.
    """
    files: set[Path] = set()
    for pattern in globs:
        if "://" in pattern:
            raise DataError(f"{pattern}: only local files are read; copy or mount it first")
        found = {Path(name).absolute() for name in glob.glob(pattern, recursive=True)}
        found = {path for path in found if not path.is_dir()}
        if not found:
            raise DataError(f"{pattern}: no such file{_neighbour(pattern)}")
        files |= found
    return tuple(sorted(files))


def _neighbour(pattern: str) -> str:
    """Name the nearest file of the same folder, or say that the folder is missing."""
    path = Path(pattern)
    if glob.has_magic(str(path.parent)):
        return ""
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    return nearest(path.name, (other.name for other in path.parent.iterdir()))
