"""Train a recorded trial on from its last checkpoint, as a run of its own."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.durable import check_name, locked, write_bytes
from tauopt.errors import DataError, Interrupted, UsageError
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.single_training import (
    EXPERIMENT,
    UID,
    SingleTraining,
    TrainResult,
    params_of,
    text_of,
)
from tauopt.workflows.trial_dataset import recorded_dataset

if TYPE_CHECKING:
    from tauopt.config.settings.experiment import Training
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.evaluation.trial_origin import TrialOrigin
    from tauopt.training.checkpoints import Checkpoint
    from tauopt.training.trial_plan import TrialPlan
    from tauopt.training.trial_report import TrialReport

DIGEST = "tauopt.dataset_digest"
"""Tag of a run: digest of its prepared dataset."""
CONTINUES = "tauopt.continues"
"""Tag of a run that continues another: that run's id, or its trial's name if it has no run."""


def continue_training(
    run: str,
    *,
    epochs: int | None = None,
    name: str | None = None,
    output: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    on_report: Callable[[TrialReport], None] | None = None,
) -> TrainResult:
    """Train a trial on to the end of its epochs, or resume that.

    The weights are those of a training that was never stopped. The trial itself stays as it is; the
    continuation is a run of its own in the folder `runs/<name>`. A trial that early stopping ended
    goes on without early stopping.

    Args:
        run: id of a run or its first letters, `models:/NAME@champion`, or a trial's folder.
        epochs: number of epochs in all; None means that of the trial.
        name: of the new run; None means one made of the trial's.
        output: folder of searches and runs; None means `tauopt-output`.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives a message for each step.
        on_report: called with each new report.
    Raises:
        UsageError: there is no such trial, it has no epoch left, more epochs would change those
            behind it, its training method is another one, or the name is taken.
        DataError: its checkpoint or its data are gone, or the data have changed.
        LockedError: a search trains the trial, or another process trains this run.
        CorruptError: no checkpoint is intact.
        SearchError: the training failed.
        Interrupted: by Ctrl-C or SIGTERM; names the command that resumes the training.
    """
    from tauopt.evaluation.trial_origin import find_origin
    from tauopt.tracking.client import connect

    progress = progress or Silent()
    output_path = make_folder(output_folder(output), option="-o").absolute()
    origin = find_origin(connect(None, output=output_path), run, output=output_path)
    default = f"{origin.label}-{f'{epochs}-epochs' if epochs else 'continued'}"
    name = check_name(name or default, what="name of the run")
    folder = output_path / "runs" / name
    try:
        with locked(folder / "lock", what=f"run {name!r}"):
            plan, note = _plan(origin, folder, epochs=epochs, cache=cache, progress=progress)
            return SingleTraining(plan, output_path, progress, on_report, note=note).run()
    except (KeyboardInterrupt, Interrupted) as stopped:
        words = ["tauopt", "continue", run, "--name", name]
        words += ["--epochs", str(epochs)] if epochs else []
        words += ["-o", str(output)] if output else []
        reason = "stopped by Ctrl-C" if isinstance(stopped, KeyboardInterrupt) else str(stopped)
        raise Interrupted(
            reason, resume=shlex.join(words), exit_code=getattr(stopped, "exit_code", 130)
        ) from None


def _plan(
    origin: TrialOrigin, folder: Path, *, epochs: int | None, cache: Path | None, progress: Progress
) -> tuple[TrialPlan, str]:
    """Return plan and note of the continuation in `folder`, which is begun unless it was."""
    from tauopt.study.provenance import code_version
    from tauopt.tracking.environment import git_commit
    from tauopt.training.continued_training import continued
    from tauopt.training.trial_plan import PLAN, TrialPlan, read_plan

    def dataset_of(plan: TrialPlan, digest: str) -> PreparedDataset:
        return recorded_dataset(
            plan.dataset,
            digest=digest,
            settings=plan.experiment.data,
            run=origin.run_id,
            cache=cache,
            progress=progress,
        )

    if (folder / PLAN).exists():
        begun = read_plan(folder)
        _check_continues(begun, origin, epochs)
        dataset = dataset_of(begun, begun.tags[DIGEST])
        return replace(begun, dataset=dataset.folder.absolute()), ""
    if (folder / UID).exists():
        raise UsageError(f"{folder} holds another run: choose another name with --name")
    then, checkpoint = _last_checkpoint(origin)
    dataset = dataset_of(then, checkpoint.state["identity"]["dataset"])
    experiment, first = continued(then, checkpoint, dataset, epochs=epochs)
    note = _note(origin, then, checkpoint, experiment.training)
    progress.say(note)
    plan = TrialPlan(
        experiment,
        dataset=dataset.folder.absolute(),
        folder=folder,
        name=folder.name,
        seed=then.seed,
        params=params_of(experiment),
        tags={
            DIGEST: dataset.digest,
            "tauopt.code": code_version(),
            "mlflow.source.git.commit": git_commit(Path.cwd()),
            CONTINUES: origin.run_id or origin.label,
        },
    )
    _begin(plan, first)
    return plan, note


def _check_continues(plan: TrialPlan, origin: TrialOrigin, epochs: int | None) -> None:
    """Raise UsageError where a plan of the same name is of something else."""
    if plan.tags.get(CONTINUES) not in (origin.run_id, origin.label):
        raise UsageError(
            f"{plan.folder} holds another run, which does not continue {origin.label}: choose "
            "another name with --name"
        )
    begun = plan.experiment.training.epochs
    if epochs not in (None, begun):
        raise UsageError(
            f"{plan.folder} was begun with {begun} epochs, not {epochs}: choose another name with "
            "--name"
        )


def _last_checkpoint(origin: TrialOrigin) -> tuple[TrialPlan, Checkpoint]:
    """Return plan and last checkpoint of a trial that no other process trains."""
    from tauopt.training.checkpoints import load_checkpoint
    from tauopt.training.trial_plan import read_plan

    anew = f"train its settings anew with tauopt train --like {origin.run_id or origin.folder}"
    if origin.folder is None:
        raise DataError(
            f"{origin.label} was trained in another output folder or on another machine, and its "
            f"checkpoint is only there: name that folder with -o, or {anew}"
        )
    with locked(origin.folder / "lock", what=f"trial {origin.label}"):
        plan, checkpoint = read_plan(origin.folder), load_checkpoint(origin.folder)
    if checkpoint is None:
        raise DataError(
            f"{origin.folder} has no checkpoint: tauopt gc has removed it, or the trial had not "
            f"come so far; {anew}"
        )
    return plan, checkpoint


def _note(origin: TrialOrigin, then: TrialPlan, checkpoint: Checkpoint, training: Training) -> str:
    """Return what a run continues and what differs, for messages and the run's description."""
    state, was = checkpoint.state["training"], then.experiment.training
    note = f"Continues {origin.label}"
    note += f" (run {origin.run_id})" if origin.run_id else ""
    note += f" from {state['seen']:,} candidates on"
    if training.early_stopping != was.early_stopping:
        note += ", without the early stopping that ended it"
    if training.epochs != was.epochs:
        note += f", to {training.epochs} epochs instead of {was.epochs}"
    return f"{note}."


def _begin(plan: TrialPlan, checkpoint: Checkpoint) -> None:
    """Write the files of a training that goes on from a checkpoint, the plan last."""
    from tauopt.tracking.spool import SpoolTracker
    from tauopt.training.checkpoints import save_checkpoint
    from tauopt.training.trial_plan import write_plan

    write_bytes(plan.folder / EXPERIMENT, text_of(plan.experiment).encode())
    # The run has the whole learning curves, also those of the trial that it continues.
    tracker = SpoolTracker(plan.folder)
    for report in checkpoint.state["training"]["history"]:
        values = {name: value for name, value in report.items() if name != "number"}
        tracker.metrics(values, step=int(report["candidates_seen"]))
    save_checkpoint(plan.folder, checkpoint)
    write_plan(plan)
