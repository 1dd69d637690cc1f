"""Deliver records on disk to MLflow, and end the runs whose driver died."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tauopt.durable import lock_holder
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import output_folder

WAIT_S = 300.0
"""Default time in s for MLflow to receive all records."""


@dataclass(frozen=True)
class SyncResult:
    """What was delivered."""

    records: int
    runs: int
    """Number of runs with undelivered records."""
    ended: tuple[str, ...]
    """Names of runs in state RUNNING without a process; their state is KILLED now."""
    busy: tuple[str, ...]
    """Searches and trainings that were skipped, because a process runs them."""
    undelivered: str = ""
    """Message about records that have not reached MLflow yet; empty if all have."""


def sync(
    *, output: Path | None = None, wait_s: float = WAIT_S, progress: Progress | None = None
) -> SyncResult:
    """Deliver the records that searches and trainings have left on disk, each once.

    Args:
        output: folder of searches and runs; None means `tauopt-output`.
        wait_s: largest time in s to wait for MLflow.
        progress: receives a message for each run with undelivered records.
    Raises:
        ServiceError: MLflow does not answer at all.
    """
    from tauopt.tracking.client import connect
    from tauopt.tracking.replay import Replay, read_wanted
    from tauopt.tracking.shipper import Shipper

    progress = progress or Silent()
    output_path = output_folder(output).absolute()
    client = connect(None, output=output_path)
    busy, ended, counts = [], [], []
    shipper = Shipper(client)
    for top, folders in _spools(output_path):
        if lock_holder(top / "lock"):
            busy.append(top.name)
            continue
        for folder in folders:
            wanted = read_wanted(folder)
            if wanted is None:
                continue
            remaining = Replay(folder, wanted).left()
            shipper.deliver(folder)
            if wanted.state == "RUNNING":
                shipper.finish(wanted.uid, "KILLED", "its driver is gone; resume it")
                ended.append(wanted.child.name if wanted.child else top.name)
            if remaining:
                progress.say(f"{top.name}/{folder.name}: {remaining} records")
                counts.append(remaining)
    undelivered = shipper.close(wait_s)
    return SyncResult(
        records=sum(counts),
        runs=len(counts),
        ended=tuple(ended),
        busy=tuple(busy),
        undelivered=str(undelivered or ""),
    )


def _spools(output: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the folder of each search or training, which holds its lock, and its spools."""
    for search in sorted((output / "searches").glob("*/")):
        yield search, [search / "run", *sorted(search.glob("t*/"))]
    for run in sorted((output / "runs").glob("*/")):
        yield run, [run]
