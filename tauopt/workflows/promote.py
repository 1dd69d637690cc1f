"""Judge a trial on the sealed test split and make it the champion."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import cache_folder, output_folder

if TYPE_CHECKING:
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.promotion.verdict import Verdict


def promote(
    run: str,
    *,
    force: bool = False,
    working_points: Path | None = None,
    gate: Path | None = None,
    output: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Judge the trial of an MLflow run and make it the champion of its registered model.

    Needs MLflow and the prepared dataset alone; where the dataset is gone, it is prepared again
    from the settings that the run recorded.

    Args:
        run: id of the run, or the first letters of it.
        force: promote although the gate refuses it or it is worse than the champion; recorded.
        working_points: experiment file whose section of that name says which cuts the model gets;
            None takes what the trial was trained with. A champion gets them too.
        gate: file of a promotion gate: a section `promote`, or its content; None takes that of the
            experiment that the trial was trained with.
        output: folder of searches and runs; None is `tauopt-output`.
        cache: folder of prepared datasets; None is the user's.
        progress: told of every step.
    Returns:
        the verdict, with the version that is the champion now.
    Raises:
        UsageError: no run has that id, or several begin with it.
        ConfigError: a file is wrong, or its gate asks for what the trial's dataset has not.
        DataError: the champion can't have the working points asked for.
        PromotionRefused: the trial may not become the champion; says why.
        ServiceError: MLflow does not answer.
    """
    import numpy as np

    from tauopt.config.gate_file import check_fits, read_gate
    from tauopt.config.load import read_experiment
    from tauopt.evaluation.recorded_trial import fetch_trial
    from tauopt.promotion.verdict import reigning
    from tauopt.tracking.client import connect
    from tauopt.tracking.runs import find_run

    listener = progress or Silent()
    wanted = read_experiment(working_points).base.working_points if working_points else None
    given = read_gate(gate) if gate else None
    client = connect(None, output=output_folder(output))
    found = find_run(client, run)
    with tempfile.TemporaryDirectory(prefix="tauopt-promote-") as folder:
        listener.say(f"fetching run {found.info.run_id} ({found.info.run_name})")
        trial = fetch_trial(client, found, folder=Path(folder))
        if wanted is not None:
            changed = trial.experiment.model_copy(update={"working_points": wanted})
            trial = replace(trial, experiment=changed)
        if given is not None:
            check_fits(given, trial.experiment)
        earlier = reigning(client, trial)
        if earlier is not None and wanted is None:
            return replace(
                earlier,
                outcome="champion already",
                reason=f"nothing was done; it became version {earlier.version} with the verdict "
                f"{earlier.outcome}: {earlier.reason}",
            )
        dataset = dataset_of(trial, cache=cache, progress=listener)

        from tauopt.metrics.bootstrap import SEED
        from tauopt.promotion.register_champion import promote as judge_and_register
        from tauopt.promotion.register_champion import renew_points

        rng = np.random.default_rng(SEED)
        if earlier is not None:
            return renew_points(client, trial, earlier, dataset=dataset, rng=rng, progress=listener)
        return judge_and_register(
            client,
            trial,
            dataset=dataset,
            gate=given.gate if given else trial.experiment.promote,
            rng=rng,
            force=force,
            progress=listener,
        )


def dataset_of(trial: Trial, *, cache: Path | None, progress: Progress) -> PreparedDataset:
    """Return the prepared dataset that a trial was trained on, prepared again if it is gone.

    Raises:
        PromotionRefused: it is gone, and its ntuples too or they are not the same any more.
    """
    from tauopt.dataset.manifest import MANIFEST
    from tauopt.errors import DataError, PromotionRefused
    from tauopt.prepare.direct_streaming import open_dataset
    from tauopt.workflows.prepare import prepare

    for place in _places(trial, cache):
        if (place / MANIFEST).is_file():
            dataset = open_dataset(place)
            if dataset.digest == trial.dataset_digest:
                return dataset
    progress.say(f"the prepared dataset {trial.dataset} is gone: preparing it again")
    try:
        dataset = prepare(trial.experiment.data, cache=cache, progress=progress)
    except DataError as error:
        raise PromotionRefused(
            f"the prepared dataset of run {trial.run_id} is gone from {trial.dataset}, "
            f"and it can't be prepared again: {error}"
        ) from error
    if dataset.digest != trial.dataset_digest:
        raise PromotionRefused(
            f"the prepared dataset of run {trial.run_id} (digest {trial.dataset_digest}) is gone "
            f"from {trial.dataset}; prepared again it has digest {dataset.digest}: the ntuples or "
            "the code have changed, so it would be judged on other data than it was trained for"
        )
    return dataset


def _places(trial: Trial, cache: Path | None) -> Iterator[Path]:
    """Yield where the dataset was, and where another machine or user would have it."""
    yield trial.dataset
    yield (cache or cache_folder()) / "prepared" / trial.dataset.name
