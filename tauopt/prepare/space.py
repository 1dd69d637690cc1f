"""Room on the disk, looked at before it is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tauopt.errors import ServiceError


def check_space(folder: Path, needed: float) -> None:
    """Refuse to go on when the disk can't hold what is to come.

    Raises:
        ServiceError: fewer than `needed` bytes are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ServiceError(
            f"{folder}: {needed / 1e9:.3g} GB more are needed for the prepared dataset, "
            f"{free / 1e9:.3g} GB are free; make room, or set TAUOPT_CACHE to another disk"
        )
