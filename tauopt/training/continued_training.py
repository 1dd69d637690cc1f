"""Continuation of a trial's training from its checkpoint, as a training of its own.

A continuation has the weights of a training that was never stopped. So it may not have more epochs
where rate or batch size depend on the number of epochs: the part behind it had others.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from tauopt.config.settings.experiment import Experiment, Training
from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.errors import UsageError
from tauopt.training.checkpoints import Checkpoint, TrainingState
from tauopt.training.network_and_data import TrialData
from tauopt.training.rungs import Rungs
from tauopt.training.trial_identity import check_same, identity
from tauopt.training.trial_plan import TrialPlan


def continued(
    plan: TrialPlan, checkpoint: Checkpoint, dataset: PreparedDataset, *, epochs: int | None = None
) -> tuple[Experiment, Checkpoint]:
    """Return settings and first checkpoint of a training that continues a trial.

    A trial that early stopping ended goes on without early stopping.

    Args:
        plan: plan of the trial.
        checkpoint: its last one.
        dataset: the prepared dataset that the trial was trained on.
        epochs: number of epochs in all; None means that of the trial.
    Raises:
        UsageError: all epochs are trained already, the rate or the batch size depends on their
            number, or the checkpoint is of another training method or dataset.
    """
    now = identity(plan, dataset_digest=dataset.digest)
    check_same(now, checkpoint.state["identity"], folder=plan.folder)
    state = TrainingState.from_json(dict(checkpoint.state["training"]))
    candidates = TrialData(dataset, plan.experiment, plan.seed).candidates
    training = plan.experiment.training
    if epochs not in (None, training.epochs):
        _check_free_of_epochs(training, epochs=epochs, candidates=candidates)
    changes: dict[str, Any] = {"epochs": epochs or training.epochs}
    if state.ended == "early stopping":
        changes["early_stopping"] = None
    further = Training.model_validate(training.model_dump() | changes)
    rungs = Rungs.from_training(further, candidates=candidates)
    if rungs.total <= state.seen:
        raise UsageError(
            f"{plan.name} has trained for {state.seen / candidates:.4g} epochs, which is no less "
            f"than the {further.epochs} wanted: name more with --epochs"
        )
    experiment = plan.experiment.model_copy(update={"training": further})
    content = {
        **checkpoint.state,
        "training": asdict(replace(state, ended="", target=rungs.next(state.seen))),
        "identity": identity(replace(plan, experiment=experiment), dataset_digest=dataset.digest),
    }
    return experiment, Checkpoint(content, checkpoint.arrays)


def _check_free_of_epochs(training: Training, *, epochs: int | None, candidates: int) -> None:
    """Raise UsageError where rate or batch size depend on the number of epochs."""
    reasons = []
    if training.schedule != "constant":
        reasons.append(f"training.schedule: {training.schedule}")
    # A rise in candidates is cut off at the end of the training.
    elif 0 < training.warm_up < 1 or training.warm_up > training.epochs * candidates:
        reasons.append(f"training.warm_up: {training.warm_up:g}")
    if training.batch_growth > 1:
        reasons.append(f"training.batch_growth: {training.batch_growth:g}")
    if reasons:
        raise UsageError(
            f"--epochs {epochs}: learning rate or batch size depend on the number of epochs "
            f"({', '.join(reasons)}), so what was trained with {training.epochs} epochs is no part "
            "of a longer training; train anew with tauopt train --like RUN --set "
            f"training.epochs={epochs}, or leave --epochs out"
        )
