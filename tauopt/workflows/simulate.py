"""Simulate a sample, or find it where it was simulated before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.config.settings.dataset import Simulation
from tauopt.durable import sha256_json
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import cache_folder

if TYPE_CHECKING:
    from tauopt.simulate.simulated_sample import FileRecord


def simulate(
    settings: Simulation,
    *,
    folder: Path | None = None,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make the sample of `settings`, or take up where an interrupted call stopped.

    Args:
        settings: numbers, seed, pile-up and tau decays.
        folder: where the ROOT files go [default: `simulated/<digest>` in the user's cache].
        processes: worker processes [default: the cores that this process may use].
        progress: told of candidates as they come.
    Returns:
        the folder; a finished sample is found there at once.
    Raises:
        UsageError: Pythia or FastJet is not installed, or `folder` holds another sample.
        LockedError: another process is simulating into the folder.
        CorruptError: a file there is not what was written.
    """
    folder, _ = simulate_files(settings, folder=folder, processes=processes, progress=progress)
    return folder


def simulate_files(
    settings: Simulation,
    *,
    folder: Path | None = None,
    processes: int | None = None,
    progress: Progress | None = None,
) -> tuple[Path, tuple[FileRecord, ...]]:
    """Do as `simulate`, and return the record of each file too."""
    from tauopt.simulate.simulated_sample import identity, make_sample

    if folder is None:
        folder = cache_folder() / "simulated" / sha256_json(identity(settings))[:16]
    cores = len(os.sched_getaffinity(0))
    records = make_sample(
        settings, folder, processes=processes or cores, progress=progress or Silent()
    )
    return folder, records
