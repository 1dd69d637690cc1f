"""Globs -> files, and what tells that a file has changed."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from tauopt.errors import DataError, nearest

_TOLD = 3
"""Files of a folder that a message names."""


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

    `%d` in a file's name stands for any number. Numbers sort by value: `a_2` before `a_10`. A file
    or folder that exists under a name with brackets is taken as it stands.

    Raises:
        DataError: a glob matches no file, or is a remote address.
    """
    files: set[Path] = set()
    for pattern in globs:
        if "://" in pattern:
            raise DataError(
                f"{pattern}: only local files are read here; `tauopt prepare` copies it"
            )
        found = {Path(name).absolute() for name in _matches(_as_it_stands(pattern))}
        matched = {path for path in found if not path.is_dir()}
        if not matched:
            raise DataError(f"{pattern}: {_why_nothing(pattern, folders=found)}")
        files |= matched
    return tuple(sorted(files, key=_natural))


def _as_it_stands(pattern: str) -> str:
    """Escape the brackets of those parts of a pattern that are names of files or folders."""
    if "[" not in pattern:
        return pattern
    parts: list[str] = []
    for part in pattern.split("/"):
        before = "".join(f"{one}/" for one in parts)
        if "[" in part and any(os.path.lexists(f"{f}{part}") for f in _folders(before)):
            part = part.replace("[", "[[]")
        parts.append(part)
    return "/".join(parts)


def _folders(pattern: str) -> list[str]:
    """Return the folders that a pattern with a slash at its end matches; none is the current."""
    return glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else [pattern]


def _matches(pattern: str) -> list[str]:
    folder, slash, name = pattern.rpartition("/")
    names = glob.glob(folder + slash + name.replace("%d", "*"), recursive=True)
    number = re.compile(fnmatch.translate(name).replace("%d", "[0-9]+"))
    return [one for one in names if number.match(Path(one).name)] if "%d" in name else names


def _why_nothing(pattern: str, *, folders: Collection[Path]) -> str:
    """Say why a pattern matches no file, and what to write instead."""
    if folders:
        inside = f"{glob.escape(str(min(folders)))}/*"
        return f"is a folder, expected files; name those in it, for instance `{inside}`"
    folder, slash, name = _as_it_stands(pattern).rpartition("/")
    if slash and not glob.glob(f"{folder}/", recursive=True):
        return f"no such file: there is no folder {pattern.rpartition('/')[0]}"
    if "[" in name and glob.glob(f"{folder}{slash}{name.replace('[', '[[]')}"):
        plain = pattern.rpartition("/")[2].replace("[", "[[]")
        return f"no such file; brackets stand for one character of them: write {plain!r}"
    others = [Path(one).name for one in glob.iglob(f"{folder}{slash}*")]
    if not glob.has_magic(name) and "%d" not in name:
        return f"no such file{nearest(pattern.rpartition('/')[2], others)}"
    told = ", ".join(map(repr, sorted(others)[:_TOLD])) or "nothing"
    more = f" and {len(others) - _TOLD} more" if len(others) > _TOLD else ""
    return f"no such file; the folder holds {told}{more}"


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key by which numbers in paths sort by value."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]
