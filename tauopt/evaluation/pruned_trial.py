"""A pruned trial judged like a complete one: its results are made of its last checkpoint.

They are made when they are first asked for, because most pruned trials are never looked at again.
"""

from __future__ import annotations

from pathlib import Path

from tauopt.dataset.manifest import MANIFEST
from tauopt.durable import locked
from tauopt.errors import CorruptError, DataError
from tauopt.tracking.replay import read_wanted
from tauopt.training.trial_plan import CHECKPOINTS, MODEL, RESULT, read_plan


def is_pruned(folder: Path) -> bool:
    """Return whether the trial in a folder was pruned, as its search has recorded there."""
    try:
        wanted = read_wanted(folder)
    except CorruptError:
        return False
    return wanted is not None and wanted.state == "PRUNED"


def make_results(folder: Path, *, run_id: str) -> None:
    """Write model, predictions and result of a pruned trial into its folder, unless they exist.

    Args:
        folder: the trial's folder.
        run_id: of its MLflow run, for the message of an error.
    Raises:
        DataError: its weights were removed, or its prepared dataset is gone.
        LockedError: another process holds the trial's folder.
    """
    if (folder / RESULT).is_file() and (folder / MODEL).is_file():
        return
    if not any((folder / CHECKPOINTS).glob("*.checkpoint")):
        raise DataError(
            f"the pruned trial {run_id} has no weights in {folder}, as after tauopt gc: train its "
            f"settings anew with tauopt train --like {run_id or folder}"
        )
    dataset = read_plan(folder).dataset
    if not (dataset / MANIFEST).is_file():
        raise DataError(
            f"the prepared dataset of the pruned trial {run_id} is gone from {dataset}; prepare it "
            f"again with tauopt prepare {folder.parent / 'experiment.yaml'}"
        )
    with locked(folder / "lock", what=f"trial {folder.name}"):
        # This imports TensorFlow, which takes seconds.
        from tauopt.models.devices import limit_devices
        from tauopt.training.train_trial import write_pruned_results

        limit_devices()
        write_pruned_results(folder)
