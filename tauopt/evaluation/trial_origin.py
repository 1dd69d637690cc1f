"""Where a recorded trial, complete or not, is from: its run, its folder here, settings and seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tauopt.config.settings.experiment import Experiment
from tauopt.errors import CorruptError, DataError, UsageError
from tauopt.evaluation.find_trial import SCHEME, folder_of, run_of_version, uid_of
from tauopt.tracking.read_run import artifact_names, read_artifact, run_of_uid
from tauopt.tracking.runs import find_run
from tauopt.training.trial_plan import PLAN, RESULT, read_plan

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class TrialOrigin:
    """A recorded trial of any state."""

    run_id: str
    """Id of its MLflow run; empty if there is none."""
    state: str
    """Tag `tauopt.state` of the run; empty if there is none."""
    folder: Path | None
    """Its folder, if that is below this output folder."""
    label: str
    """Name that tells trials of several searches apart, such as `rnn-t007`."""
    experiment: Experiment
    seed: int


def find_origin(client: MlflowClient, reference: str, *, output: Path) -> TrialOrigin:
    """Find the record of a trial, whether it completed or not.

    Args:
        client: from `tracking.client.connect`.
        reference: the id of a run or its first letters, `models:/NAME@champion`,
            `models:/NAME/3`, or the folder of a trial.
        output: output folder, with the folders of trials that were trained here.
    Raises:
        UsageError: there is no such run, version or trial.
        DataError: neither the run nor this machine has the settings of the trial.
        ServiceError: MLflow does not answer.
    """
    folder: Path | None
    if Path(reference).is_dir():
        folder = Path(reference).absolute()
        uid = uid_of(folder)
        run = run_of_uid(client, uid) if uid else None
    else:
        is_model = reference.startswith(SCHEME)
        run = run_of_version(client, reference)[1] if is_model else find_run(client, reference)
        folder = folder_of(run, output=output)
    experiment, seed = _settings(client, reference, run, folder)
    return TrialOrigin(
        run_id=run.info.run_id if run else "",
        state=run.data.tags.get("tauopt.state", "") if run else "",
        folder=folder,
        label=_label(run, folder),
        experiment=experiment,
        seed=seed,
    )


def _settings(
    client: MlflowClient, reference: str, run: Any, folder: Path | None
) -> tuple[Experiment, int]:
    """Return the settings and the seed of a trial from its folder, or else from its run."""
    if folder is not None and (folder / PLAN).is_file():
        plan = read_plan(folder)
        return plan.experiment, plan.seed
    if run is not None and RESULT in artifact_names(client, run.info.run_id):
        try:
            result = json.loads(read_artifact(client, run.info.run_id, RESULT))
            return Experiment.model_validate(result["experiment"]), int(result["seed"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise CorruptError(f"run {run.info.run_id}: {RESULT} is not whole: {error}") from error
    if run is None:
        raise UsageError(
            f"{reference} is no folder of a trial: expected the file {PLAN} in it, as in "
            "searches/NAME/t000 or runs/NAME"
        )
    raise DataError(
        f"run {run.info.run_id} ({run.info.run_name}) has no {RESULT}, as a search's own run or a "
        f"trial that did not complete, and this output folder has no folder of it with a {PLAN}: "
        "name a trial, see tauopt leaderboard, or with -o the output folder of its search"
    )


def _label(run: Any, folder: Path | None) -> str:
    if folder is not None:
        in_search = folder.parent.parent.name == "searches"
        return f"{folder.parent.name}-{folder.name}" if in_search else folder.name
    tags = run.data.tags
    if "tauopt.trial" in tags:
        return f"{tags['tauopt.study']}-t{int(tags['tauopt.trial']):03d}"
    return str(run.info.run_name)
