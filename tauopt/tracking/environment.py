"""Describe the software and machine of a run: versions, platform, git commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import tauopt

_LIBRARIES = (
    "tensorflow", "keras", "keras-tuner", "optuna", "ray", "mlflow", "uproot", "awkward", "numpy",
    "numba",
)  # fmt: skip


def environment() -> dict[str, str]:
    """Return the versions of tauopt, Python and main libraries, the platform and its processors."""
    return {
        "tauopt": tauopt.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count() or 0),
        **{name: installed(name) or "missing" for name in _LIBRARIES},
    }


def installed(name: str) -> str:
    """Return the installed version of a distribution; empty if it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def requirements() -> list[str]:
    """Return the requirements in tauopt's package metadata."""
    return requires("tauopt") or []


def git_commit(folder: Path) -> str:
    """Return the git commit of the checkout that holds `folder`, with `-dirty` if files differ.

    Empty outside a repository, or without git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return process.stdout.strip()
