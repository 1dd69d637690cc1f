"""Identity of a training: everything that decides its weights.

No training with another identity goes on in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tauopt.config.settings.dotted_paths import flat
from tauopt.errors import UsageError
from tauopt.training.checkpoints import load_checkpoint
from tauopt.training.trial_plan import TrialPlan

METHOD = 3
"""Number of the training method; raised whenever the same settings, seed and data give other
weights. 2: LSTMs have their correct gradient, every batch is full, and at equal values of the
objective the lower loss counts as better. 3: `training.monitor` chooses the best report."""
METHOD_KEY = "training_method"


def identity(plan: TrialPlan, *, dataset_digest: str) -> dict[str, Any]:
    """Return everything that decides a training's weights, by dotted path."""
    experiment = plan.experiment.model_dump(mode="json")
    parts = {name: experiment[name] for name in ("task", "model", "training", "objective")}
    return flat({**parts, "seed": plan.seed, "dataset": dataset_digest, METHOD_KEY: METHOD})


def method_of(record: Mapping[str, Any]) -> int:
    """Return the training method in an identity or a trial's result; 1 in those without one."""
    return int(record.get(METHOD_KEY, 1))


def check_same(now: Mapping[str, Any], then: Mapping[str, Any], *, folder: Path) -> None:
    """Check that a training is the one whose checkpoint is in the folder.

    Raises:
        UsageError: it is another one; names each difference.
    """
    if METHOD_KEY in now and method_of(now) != method_of(then):
        raise UsageError(
            f"{folder} holds a checkpoint of tauopt's training method {method_of(then)}, this "
            f"version has method {method_of(now)}, which gives other weights: begin anew in "
            "another folder or under another name, or go on with the version that began it"
        )
    changed = [
        f"{key}: was {then.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*now, *then})
        if now.get(key) != then.get(key)
    ]
    if changed:
        raise UsageError(
            f"{folder} holds a checkpoint of another trial; take another folder or "
            "name, or undo the change:\n  " + "\n  ".join(changed)
        )


def check_folder(plan: TrialPlan, *, dataset_digest: str) -> None:
    """Check that a trial may begin, or go on, in its folder.

    Raises:
        UsageError: the folder holds the checkpoint of another trial.
        CorruptError: it holds checkpoints, and none is intact.
    """
    checkpoint = load_checkpoint(plan.folder)
    if checkpoint is not None:
        now = identity(plan, dataset_digest=dataset_digest)
        check_same(now, checkpoint.state["identity"], folder=plan.folder)
