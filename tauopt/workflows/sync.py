"""Bring what waits on disk to MLflow, and end the runs of drivers that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import output_folder
from tauopt.workflows.status import lock_holder

WAIT_S = 300.0
"""How long MLflow may take for all of it."""


@dataclass(frozen=True)
class SyncResult:
    """What was brought."""

    records: int
    runs: int
    """That had something to bring."""
    ended: tuple[str, ...]
    """Names of runs that were said to run, and nobody runs: killed now."""
    busy: tuple[str, ...]
    """Searches and trainings left alone, for somebody runs them."""
    undelivered: str = ""
    """What has not reached MLflow yet, in words; empty if all has."""


def sync(
    *, output: Path | None = None, wait_s: float = WAIT_S, progress: Progress | None = None
) -> SyncResult:
    """Deliver the records that searches and trainings have left on disk, each once.

    Args:
        output: folder of searches and runs; None is `tauopt-output`.
        wait_s: how long to wait for MLflow.
        progress: is told of every run that has something to bring.
    Raises:
        ServiceError: MLflow does not answer at all.
    """
    from tauopt.tracking.client import connect
    from tauopt.tracking.replay import Replay, read_wanted
    from tauopt.tracking.shipper import Shipper

    progress = progress or Silent()
    place = output_folder(output).absolute()
    client = connect(None, output=place)
    busy, ended, counts = [], [], []
    shipper = Shipper(client)
    for top, folders in _spools(place):
        if lock_holder(top / "lock"):
            busy.append(top.name)
            continue
        for folder in folders:
            wanted = read_wanted(folder)
            if wanted is None:
                continue
            left = Replay(folder, wanted).left()
            shipper.deliver(folder)
            if wanted.state == "RUNNING":
                shipper.finish(wanted.uid, "KILLED", "its driver is gone; resume it")
                ended.append(wanted.child.name if wanted.child else top.name)
            if left:
                progress.say(f"{top.name}/{folder.name}: {left} records")
                counts.append(left)
    undelivered = shipper.close(wait_s)
    return SyncResult(
        records=sum(counts),
        runs=len(counts),
        ended=tuple(ended),
        busy=tuple(busy),
        undelivered=str(undelivered or ""),
    )


def _spools(output: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the folder of each search or training, whose lock tells who runs it, and its spools."""
    for search in sorted((output / "searches").glob("*/")):
        yield search, [search / "run", *sorted(search.glob("t*/"))]
    for run in sorted((output / "runs").glob("*/")):
        yield run, [run]
