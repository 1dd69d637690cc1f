"""Truncated, damaged and missing input files: every one is an error that names the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tauopt.errors import DataError, TauoptError


class BadFileError(DataError):
    """A file that can't be read whole: corrupt, truncated or never closed."""


def check_range(start: int, stop: int, *, entries: int, path: Path) -> None:
    """Check that [start, stop) is a non-empty range of a file's entries; else BadFileError."""
    if not 0 <= start < stop <= entries:
        raise BadFileError(
            f"{path}: holds {entries} entries, expected those from {start} to {stop}"
        )


@contextlib.contextmanager
def reading(path: Path, part: str = "") -> Iterator[None]:
    """Turn every exception of a file library into a BadFileError that names the file.

    Args:
        path: the file.
        part: the part of it that is read, for the message, with a space at its end.
    """
    try:
        yield
    except TauoptError:
        raise
    except FileNotFoundError as error:
        raise BadFileError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise BadFileError(f"{path}: is a folder, expected a file") from error
    except Exception as error:  # damaged bytes make parsers fail in many ways
        message = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadFileError(f"{path}: {part}can't be read whole: {message}") from error
