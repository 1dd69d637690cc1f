"""Old `mlruns` folders of MLflow's file store: read, and their runs brought into a store.

MLflow itself turns such a folder into a database (`mlflow migrate-filestore`), which is read
then like any other. The folder is not changed. Artifacts are taken from beside the runs, for
the addresses on record are those of the machine that they were made on.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.errors import DataError, UsageError
from tauopt.tracking.client import set_environment
from tauopt.tracking.limits import parts
from tauopt.tracking.retries import again
from tauopt.tracking.runs import STATUS, UID, with_uid

if TYPE_CHECKING:
    from mlflow import MlflowClient

IMPORTED = "tauopt.imported"
"""Tag of a run that was brought whole; its value is the run's old id."""
PARENT = "mlflow.parentRunId"
_ENDED = frozenset(STATUS.values()) - {"RUNNING", "SCHEDULED"}


@dataclass(frozen=True)
class OldRun:
    """A run of an old store."""

    experiment: str
    run: Any
    """`mlflow.entities.Run`"""
    artifacts: Path
    """Where its artifacts lie, if there are any."""


@dataclass(frozen=True)
class OldStore:
    """A folder that MLflow's file store has written."""

    folder: Path
    client: MlflowClient

    def runs(self) -> Iterator[OldRun]:
        """Yield the runs that were not deleted, parents before their children."""
        for experiment in self.client.search_experiments():
            found, token = [], None
            while True:
                page = self.client.search_runs([experiment.experiment_id], page_token=token)
                found += page
                token = page.token
                if not token:
                    break
            found.sort(key=lambda run: (PARENT in run.data.tags, run.info.start_time or 0))
            for run in found:
                there = self.folder / experiment.experiment_id / run.info.run_id / "artifacts"
                yield OldRun(experiment.name, run, there)

    def history(self, old: OldRun) -> list[Any]:
        """Return every point of every metric of a run."""
        names = sorted(old.run.data.metrics)
        asked = self.client.get_metric_history
        return [point for name in names for point in asked(old.run.info.run_id, name)]


def open_old(folder: Path, *, scratch: Path) -> OldStore:
    """Read a folder of MLflow's file store.

    Args:
        folder: `mlruns`, or the folder that holds it.
        scratch: empty folder for the database that is made of it.
    Raises:
        UsageError: there is none.
        DataError: MLflow can't read it.
    """
    set_environment()
    inside = folder / "mlruns" if (folder / "mlruns").is_dir() else folder
    if not any(inside.glob("[0-9]*/meta.yaml")):
        raise UsageError(
            f"{folder}: expected a folder of MLflow's file store (mlruns, with folders of "
            "experiments and their meta.yaml); found none"
        )
    from mlflow import MlflowClient
    from mlflow.store.fs2db import migrate

    address = f"sqlite:///{scratch.resolve()}/old.db"
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a summary
            migrate(inside, address, progress=False)
    except Exception as error:
        raise DataError(f"{inside}: MLflow can't read it as its file store: {error}") from error
    return OldStore(inside, MlflowClient(tracking_uri=address))


def bring(
    client: MlflowClient, store: OldStore, old: OldRun, *, place: str, parent: str | None
) -> tuple[str, bool]:
    """Bring a run into a store, once: what was cut short is completed.

    Args:
        client: of the store that gets it.
        store: that it comes from.
        old: the run.
        place: id of the experiment that gets it.
        parent: its parent's new run id; None if it has none there.
    Returns:
        its new run id; whether something had to be brought.
    """
    info, uid = old.run.info, f"import-{old.run.info.run_id}"
    known = again(partial(with_uid, client, place, uid))
    if known and IMPORTED in known[0].data.tags:
        return str(known[0].info.run_id), False
    new = known[0] if known else again(partial(_create, client, old, place, uid))
    run_id = str(new.info.run_id)
    _fill(client, run_id, store.history(old), old.run.data, parent)
    if old.artifacts.is_dir():
        for item in sorted(old.artifacts.iterdir()):
            again(partial(client.log_artifact, run_id, str(item)))
    again(partial(client.set_tag, run_id, IMPORTED, info.run_id))
    # A run of an old store that nobody ended is one whose process is gone.
    status = info.status if info.status in _ENDED else "KILLED"
    ended = info.end_time or info.start_time
    again(partial(client.set_terminated, run_id, status=status, end_time=ended))
    return run_id, True


def _create(client: MlflowClient, old: OldRun, place: str, uid: str) -> Any:
    info = old.run.info
    return client.create_run(
        place, start_time=info.start_time, run_name=info.run_name, tags={UID: uid}
    )


def _fill(
    client: MlflowClient, run_id: str, points: list[Any], data: Any, parent: str | None
) -> None:
    from mlflow.entities import Param, RunTag

    # A uid of its own is what a run of ours is found by; the old one's would be found twice.
    tags = {key: value for key, value in data.tags.items() if key != UID}
    if parent:
        tags[PARENT] = parent
    entities = (
        points,
        [Param(key, value) for key, value in data.params.items()],
        [RunTag(key, value) for key, value in tags.items()],
    )
    for part in parts(*entities):
        again(partial(client.log_batch, run_id, *part))
