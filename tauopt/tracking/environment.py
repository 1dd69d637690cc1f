"""Where and with what a run was made: versions, machine, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import tauopt

_PARTS = (
    "tensorflow", "keras", "keras-tuner", "optuna", "ray", "mlflow", "uproot", "awkward", "numpy",
    "numba",
)  # fmt: skip


def environment() -> dict[str, str]:
    """Return versions of tauopt and its parts, of Python and of the machine."""
    found = {"tauopt": tauopt.__version__, "python": platform.python_version()}
    found["platform"] = platform.platform()
    found["processors"] = str(os.cpu_count() or 0)
    return found | {name: installed(name) or "missing" for name in _PARTS}


def installed(name: str) -> str:
    """Return the installed version of a distribution; empty if it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def requirements() -> list[str]:
    """Return tauopt's own requirements as its package states them."""
    return requires("tauopt") or []


def git_commit(folder: Path) -> str:
    """Return the commit checked out around `folder`, `-dirty` behind it where files differ.

    Empty outside a repository, or without git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
