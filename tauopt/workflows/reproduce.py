"""Reproduce a trial: train it again from its record alone, and compare value and weights."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.durable import locked
from tauopt.errors import DataError, SearchError, TrialFailed
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.trial_dataset import needed_dataset

if TYPE_CHECKING:
    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.training.trial_plan import TrialPlan


@dataclass(frozen=True)
class Reproduction:
    """A trial and its repetition."""

    name: str
    run_id: str
    objective: str
    recorded: float
    found: float
    tolerance: float
    """Largest difference of the two values that counts as equal: processors round differently."""
    weights_apart: float
    """Largest difference of a weight; infinite where the networks differ in shape."""
    code: dict[str, str]
    """`then` and `now`: tauopt's version and digest of its source."""
    method: dict[str, int]
    """`then` and `now`: number of tauopt's training method; weights differ where it does."""
    folder: Path

    @property
    def outcome(self) -> str:
        """`exactly`, `within tolerance` or `differs`."""
        if self.weights_apart == 0:
            return "exactly"
        is_near = abs(self.found - self.recorded) <= self.tolerance
        return "within tolerance" if is_near else "differs"


def reproduce(
    run: str,
    *,
    output: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Train a trial again with the settings, seed and data of its record.

    Nothing is recorded in MLflow. An interrupted repetition is resumed.

    Args:
        run: id of a run or its first letters, `models:/NAME@champion`, or a trial's folder.
        output: folder of searches and runs; None means `tauopt-output`.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives a message for each step.
    Raises:
        UsageError: there is no such trial.
        DataError: it has not completed or was pruned, or its data are gone and can't be prepared
            again.
        SearchError: the training fails this time.
        Interrupted: by Ctrl-C or SIGTERM.
        ServiceError: MLflow does not answer.
    """
    from tauopt.evaluation.find_trial import find_trial
    from tauopt.tracking.client import connect
    from tauopt.training.trial_identity import METHOD, method_of
    from tauopt.training.trial_plan import TrialPlan

    progress = progress or Silent()
    client = connect(None, output=output_folder(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-reproduce-") as temporary:
        trial = find_trial(client, run, folder=Path(temporary), output=output_folder(output))
        if trial.result.get("ended") == "pruned":
            raise DataError(
                f"{trial.name} was pruned, so a training to the end has other weights; train it on "
                f"with tauopt continue {run}"
            )
        if (method := method_of(trial.result)) != METHOD:
            progress.say(
                f"{trial.name} was trained by tauopt's training method {method}; this version has "
                f"method {METHOD}, which gives other weights from the same settings"
            )
        dataset = needed_dataset(trial, cache=cache, progress=progress)
        folder = output_folder(output).absolute() / "reproductions" / trial.sha256[:16]
        make_folder(folder, option="-o")
        with locked(folder / "lock", what=f"reproduction of {trial.name}"):
            plan = TrialPlan(
                trial.experiment,
                dataset=dataset.folder.absolute(),
                folder=folder / "trial",
                name=trial.name,
                seed=int(trial.result["seed"]),
            )
            _train(plan, trial, progress=progress)
            return _compare(trial, plan)


def _train(plan: TrialPlan, trial: Trial, *, progress: Progress) -> None:
    """Train from the start, or resume an interrupted repetition."""
    from tauopt.models.devices import limit_devices
    from tauopt.tracking.spool import SpoolTracker
    from tauopt.training.interrupts import interrupts
    from tauopt.training.train_trial import run_trial
    from tauopt.training.trial_results import read_result

    limit_devices()
    if read_result(plan.folder) is not None:  # a complete repetition is not shown again
        shutil.rmtree(plan.folder)
    plan.folder.mkdir(parents=True, exist_ok=True)
    objective = trial.experiment.objective.first
    with interrupts() as signals:
        try:
            for report in run_trial(
                plan, tracker=SpoolTracker(plan.folder), stop=lambda: bool(signals.number)
            ):
                progress.say(f"report {report.number}: {objective} {report.value:.6g}")
        except TrialFailed as error:
            raise SearchError(f"{trial.name} fails this time: {error}") from error


def _compare(trial: Trial, plan: TrialPlan) -> Reproduction:
    """Compare value and weights of a trial with those of its repetition."""
    from tauopt.metrics.estimate import Estimate
    from tauopt.models.model_file import load_model, weights_apart
    from tauopt.promotion.run_on_test_split import tolerance
    from tauopt.study.provenance import code_version
    from tauopt.training.trial_identity import METHOD, method_of
    from tauopt.training.trial_plan import MODEL
    from tauopt.training.trial_results import read_result

    result = read_result(plan.folder)
    if result is None:
        raise SearchError(f"{plan.folder} holds no complete result; run the command again")
    objective = trial.experiment.objective.first
    value, low, high = result["metrics"][objective]
    return Reproduction(
        name=trial.name,
        run_id=trial.run_id,
        objective=objective,
        recorded=trial.value,
        found=float(result["value"]),
        tolerance=tolerance(trial.value, Estimate(value, low, high)),
        weights_apart=weights_apart(
            load_model(trial.model, sha256=trial.sha256), load_model(plan.folder / MODEL)
        ),
        code={"then": trial.code or "unknown", "now": code_version()},
        method={"then": method_of(trial.result), "now": METHOD},
        folder=plan.folder,
    )
