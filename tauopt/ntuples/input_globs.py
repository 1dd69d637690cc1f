"""Expand path patterns to files, and take the signatures by which changes are noticed."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from tauopt.errors import DataError, nearest

_MOST_LISTED = 3
"""Files of a folder that a message lists at most."""


class Signature(NamedTuple):
    """Metadata of a file that change when its content does."""

    bytes: int
    modified_ns: int
    changed_ns: int
    inode: int


def signature(path: Path) -> Signature:
    """Return the signature of a file; OSError if it does not exist."""
    status = path.stat()
    return Signature(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def expand(globs: Sequence[str]) -> tuple[Path, ...]:
    """Expand path globs (including `**`) to absolute paths of files, each once, sorted.

    `%d` in a file's name stands for any number. Numbers sort by value: `a_2` before `a_10`.
    Brackets in a name are literal if a file or folder of that name exists.

    Raises:
        DataError: a glob matches no file, or is a remote address.
    """
    files: set[Path] = set()
    for pattern in globs:
        if "://" in pattern:
            raise DataError(
                f"{pattern}: only local files are read here; `tauopt prepare` copies it"
            )
        paths = {Path(name).absolute() for name in _matches(_escape_existing(pattern))}
        matched = {path for path in paths if not path.is_dir()}
        if not matched:
            raise DataError(f"{pattern}: {_why_nothing(pattern, folders=paths)}")
        files |= matched
    return tuple(sorted(files, key=_natural))


def _escape_existing(pattern: str) -> str:
    """Escape the brackets in those parts of a pattern that are names of files or folders."""
    if "[" not in pattern:
        return pattern
    parts: list[str] = []
    for part in pattern.split("/"):
        parent = "".join(f"{previous}/" for previous in parts)
        if "[" in part and any(os.path.lexists(f"{f}{part}") for f in _folders(parent)):
            part = part.replace("[", "[[]")
        parts.append(part)
    return "/".join(parts)


def _folders(pattern: str) -> list[str]:
    """Return the folders that match a pattern ending in a slash; empty is the current folder."""
    return glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else [pattern]


def _matches(pattern: str) -> list[str]:
    folder, slash, name = pattern.rpartition("/")
    names = glob.glob(folder + slash + name.replace("%d", "*"), recursive=True)
    number = re.compile(fnmatch.translate(name).replace("%d", "[0-9]+"))
    return [path for path in names if number.match(Path(path).name)] if "%d" in name else names


def _why_nothing(pattern: str, *, folders: Collection[Path]) -> str:
    """Return the reason why a pattern matches no file, and a remedy; `folders` are its matches."""
    if folders:
        inside = f"{glob.escape(str(min(folders)))}/*"
        return f"is a folder, expected files; name those in it, for instance `{inside}`"
    folder, slash, name = _escape_existing(pattern).rpartition("/")
    if slash and not glob.glob(f"{folder}/", recursive=True):
        return f"no such file: there is no folder {pattern.rpartition('/')[0]}"
    if "[" in name and glob.glob(f"{folder}{slash}{name.replace('[', '[[]')}"):
        plain = pattern.rpartition("/")[2].replace("[", "[[]")
        return f"no such file; brackets match one of the characters in them: write {plain!r}"
    others = [Path(path).name for path in glob.iglob(f"{folder}{slash}*")]
    if not glob.has_magic(name) and "%d" not in name:
        return f"no such file{nearest(pattern.rpartition('/')[2], others)}"
    listed = ", ".join(map(repr, sorted(others)[:_MOST_LISTED])) or "nothing"
    more = f" and {len(others) - _MOST_LISTED} more" if len(others) > _MOST_LISTED else ""
    return f"no such file; the folder holds {listed}{more}"


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key by which numbers in paths sort by value."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]
