"""Where things lie when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `$TAUOPT_CACHE`, else `$XDG_CACHE_HOME/tauopt`, else `~/.cache/tauopt`."""
    own, shared = os.environ.get("TAUOPT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).absolute()
    return (Path(shared) if shared else Path.home() / ".cache") / "tauopt"


def output_folder(given: Path | None) -> Path:
    """Return `given`, else `tauopt-output` in the working directory."""
    return given or Path("tauopt-output")
