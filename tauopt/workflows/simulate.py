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
    """Simulate a sample, or complete what an interrupted call left; return its folder.

    Args:
        settings: numbers of candidates, seed, pile-up and tau decays.
        folder: of the ROOT files; None means `simulated/<digest>` in the user's cache.
        processes: worker processes; None means as many as the cores that this process may use.
        progress: receives the number of candidates simulated.
    Returns:
        the folder; a complete sample is returned at once.
    Raises:
        UsageError: Pythia or FastJet is not installed, or `folder` holds another sample.
        LockedError: another process is simulating into the folder.
        CorruptError: a file of the folder is not what was written.
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
    """Simulate a sample as `simulate` does; return its folder and the record of each file."""
    from tauopt.simulate.simulated_sample import make_sample

    folder = folder or simulated_folder(settings, cache=cache_folder())
    cores = len(os.sched_getaffinity(0))
    records = make_sample(
        settings, folder, processes=processes or cores, progress=progress or Silent()
    )
    return folder, records


def simulated_folder(settings: Simulation, *, cache: Path) -> Path:
    """Return the folder in a cache of the sample with these settings, made or not."""
    from tauopt.simulate.simulated_sample import identity

    return cache / "simulated" / sha256_json(identity(settings))[:16]
