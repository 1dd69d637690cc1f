"""Default folders: output, cache, batch jobs."""

from __future__ import annotations

import os
from pathlib import Path

from tauopt.errors import UsageError

BATCH = "batch"
"""Subfolder of the output folder: one folder for the batch job of each search."""


def cache_folder() -> Path:
    """Return `$TAUOPT_CACHE`, else `$XDG_CACHE_HOME/tauopt`, else `~/.cache/tauopt`."""
    own, shared = os.environ.get("TAUOPT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).absolute()
    return (Path(shared) if shared else Path.home() / ".cache") / "tauopt"


def make_folder(path: Path, *, option: str) -> Path:
    """Make a folder for results, if it does not exist, and return it.

    Args:
        path: of the folder.
        option: command-line option or environment variable that chooses another.
    Raises:
        UsageError: it can't be made, or nothing can be written into it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path}: can't be made a folder ({error.strerror}); choose another with {option}"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: can't be written; choose another folder with {option}")
    return path


def output_folder(given: Path | None) -> Path:
    """Return `given`, else `$TAUOPT_OUTPUT`, else `tauopt-output` in the working directory."""
    return given or Path(os.environ.get("TAUOPT_OUTPUT") or "tauopt-output")
