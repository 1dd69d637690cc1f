"""Judge a trial on the sealed test split and register it as the champion of its model."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import output_folder
from tauopt.workflows.trial_dataset import dataset_of

if TYPE_CHECKING:
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

    Only MLflow and the prepared dataset are needed; where the dataset is gone, it is prepared again
    from the settings that the run recorded.

    Args:
        run: id of the run, or its first letters.
        force: promote although the gate refuses the trial or it is worse than the champion; the
            verdict records that.
        working_points: experiment file whose section of that name defines the model's cuts; None
            means those of the trial's own experiment. A trial that is the champion already gets
            them too.
        gate: file of a promotion gate: a section `promote`, or its content; None means that of the
            trial's own experiment.
        output: folder of searches and runs; None means `tauopt-output`.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives a message for each step.
    Returns:
        the verdict, with the version that is the champion now.
    Raises:
        UsageError: no run has that id, or several begin with it.
        ConfigError: a file is wrong, or its gate needs what the trial's dataset lacks.
        DataError: the champion can't have the working points of the file.
        PromotionRefused: the trial may not become the champion; names the reason.
        ServiceError: MLflow does not answer.
    """
    import numpy as np

    from tauopt.config.gate_file import check_fits, read_gate
    from tauopt.config.load import read_experiment
    from tauopt.evaluation.recorded_trial import fetch_trial
    from tauopt.promotion.verdict import reigning
    from tauopt.tracking.client import connect
    from tauopt.tracking.runs import find_run

    progress = progress or Silent()
    points = read_experiment(working_points).base.working_points if working_points else None
    gate_file = read_gate(gate) if gate else None
    client = connect(None, output=output_folder(output))
    mlflow_run = find_run(client, run)
    with tempfile.TemporaryDirectory(prefix="tauopt-promote-") as folder:
        progress.say(f"fetching run {mlflow_run.info.run_id} ({mlflow_run.info.run_name})")
        trial = fetch_trial(client, mlflow_run, folder=Path(folder))
        if points is not None:
            changed = trial.experiment.model_copy(update={"working_points": points})
            trial = replace(trial, experiment=changed)
        if gate_file is not None:
            check_fits(gate_file, trial.experiment)
        earlier = reigning(client, trial)
        if earlier is not None and points is None:
            return replace(
                earlier,
                outcome="champion already",
                reason=f"nothing was done; it became version {earlier.version} with the verdict "
                f"{earlier.outcome}: {earlier.reason}",
            )
        dataset = dataset_of(trial, cache=cache, progress=progress)
        # This imports TensorFlow, which takes seconds: the cases above do without.
        from tauopt.metrics.bootstrap import SEED
        from tauopt.promotion.register_champion import promote as judge_and_register
        from tauopt.promotion.register_champion import renew_points

        rng = np.random.default_rng(SEED)
        if earlier is not None:
            return renew_points(client, trial, earlier, dataset=dataset, rng=rng, progress=progress)
        return judge_and_register(
            client,
            trial,
            dataset=dataset,
            gate=gate_file.gate if gate_file else trial.experiment.promote,
            rng=rng,
            force=force,
            progress=progress,
        )
