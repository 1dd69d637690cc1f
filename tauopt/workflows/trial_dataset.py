"""The prepared dataset that a trial was trained on; prepared again where it is gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import DataError, PromotionRefused
from tauopt.progress import Progress
from tauopt.workflows.paths import cache_folder

if TYPE_CHECKING:
    from tauopt.config.settings.dataset import Dataset
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.evaluation.recorded_trial import Trial


def dataset_of(trial: Trial, *, cache: Path | None, progress: Progress) -> PreparedDataset:
    """Return the prepared dataset that a trial was trained on, prepared again if it is gone.

    Args:
        trial: its record names the dataset's folder, digest and settings.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives the progress of a new preparation.
    Raises:
        PromotionRefused: it is gone, and its ntuples are gone too or have changed.
    """
    try:
        return recorded_dataset(
            trial.dataset,
            digest=trial.dataset_digest,
            settings=trial.experiment.data,
            run=trial.run_id,
            cache=cache,
            progress=progress,
        )
    except DataError as error:
        raise PromotionRefused(str(error)) from error


def recorded_dataset(
    recorded: Path,
    *,
    digest: str,
    settings: Dataset,
    run: str,
    cache: Path | None,
    progress: Progress,
) -> PreparedDataset:
    """Return a prepared dataset with a recorded digest, prepared again if it is gone.

    Args:
        recorded: its folder when it was recorded.
        digest: its digest.
        settings: its settings, from which it is prepared again.
        run: id of the run that was trained on it, for the messages.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives the progress of a new preparation.
    Raises:
        DataError: it is gone, and its ntuples are gone too or have changed.
    """
    from tauopt.dataset.manifest import MANIFEST
    from tauopt.prepare.direct_streaming import open_dataset
    from tauopt.workflows.prepare import prepare

    # The second place is where another machine or user would have it.
    in_cache = (cache or cache_folder()) / "prepared" / recorded.name
    for folder in (recorded, in_cache):
        if (folder / MANIFEST).is_file():
            dataset = open_dataset(folder)
            if dataset.digest == digest:
                return dataset
    progress.say(f"the prepared dataset {recorded} is gone: preparing it again")
    try:
        dataset = prepare(settings, cache=cache, progress=progress)
    except DataError as error:
        raise DataError(
            f"the prepared dataset of run {run} is gone from {recorded}, "
            f"and it can't be prepared again: {error}"
        ) from error
    if dataset.digest != digest:
        raise DataError(
            f"the prepared dataset of run {run} (digest {digest}) is gone from {recorded}; "
            f"prepared again it has digest {dataset.digest}: the ntuples or the code have changed, "
            "so these would be other data than it was trained on"
        )
    return dataset


def dataset_if_available(
    trial: Trial, *, cache: Path | None, progress: Progress
) -> PreparedDataset | None:
    """Return the prepared dataset of a trial as `dataset_of` does, or None where that is refused.

    A message says that training candidates can't be recognised without the dataset.
    """
    try:
        return dataset_of(trial, cache=cache, progress=progress)
    except PromotionRefused:
        progress.say(
            f"the dataset of {trial.name} is gone: it is unknown whether the files hold candidates "
            "that it was trained on"
        )
        return None


def needed_dataset(trial: Trial, *, cache: Path | None, progress: Progress) -> PreparedDataset:
    """Return the prepared dataset of a trial as `dataset_of` does.

    Raises:
        DataError: it is gone, and its ntuples are gone too or have changed.
    """
    try:
        return dataset_of(trial, cache=cache, progress=progress)
    except PromotionRefused as refused:
        raise DataError(str(refused)) from refused
