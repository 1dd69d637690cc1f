"""Globs -> files, and what tells that a file has changed."""

from __future__ import annotations

import fnmatch
import glob
import re
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
    """Expand path globs (`**` included) to absolute files, each once, sorted.

    `%d` in a file's name stands for any number. Numbers sort by value: `a_2` before `a_10`.

    Raises:
        DataError: a glob matches no file, or is a remote address.
    """
    files: set[Path] = set()
    for pattern in globs:
        if "://" in pattern:
            raise DataError(
                f"{pattern}: only local files are read here; `tauopt prepare` copies it"
            )
        found = {Path(name).absolute() for name in _matches(pattern)}
        found = {path for path in found if not path.is_dir()}
        if not found:
            raise DataError(f"{pattern}: no such file{_neighbour(pattern)}")
        files |= found
    return tuple(sorted(files, key=_natural))


def _matches(pattern: str) -> list[str]:
    folder, slash, name = pattern.rpartition("/")
    names = glob.glob(folder + slash + name.replace("%d", "*"), recursive=True)
    number = re.compile(fnmatch.translate(name).replace("%d", "[0-9]+"))
    return [one for one in names if number.match(Path(one).name)] if "%d" in name else names


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key by which numbers in paths sort by value."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _neighbour(pattern: str) -> str:
    """Name the nearest file of the same folder, or say that the folder is missing."""
    path = Path(pattern)
    if glob.has_magic(str(path.parent)):
        return ""
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    return nearest(path.name, (other.name for other in path.parent.iterdir()))
