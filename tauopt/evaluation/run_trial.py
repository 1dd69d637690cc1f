"""A trial's model run over candidates that no search has seen, and which of them are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import Manifest
from tauopt.dataset.network_inputs import class_weights
from tauopt.errors import DataError, UsageError, nearest
from tauopt.evaluation.model_inputs import ModelInputs
from tauopt.evaluation.recorded_trial import Trial
from tauopt.evaluation.split_candidates import EvaluationCandidates
from tauopt.metrics.predictions import Predictions
from tauopt.models.model_file import load_model
from tauopt.physics.expressions import Expression, ExpressionError, parse

EVENT_NUMBER = "event_number"
"""What `Predictions` call `event_numbers`, in expressions and in tables."""


@dataclass(frozen=True)
class TrialOutput:
    """A trial's model and what it says of candidates."""

    trial: Trial
    what: ModelInputs
    model: Any
    predictions: Predictions
    factors: Mapping[str, float] = field(default_factory=dict)
    """Task class -> what the loss multiplied its weights by; empty where that is unknown."""


def run_on(candidates: EvaluationCandidates, trial: Trial) -> TrialOutput:
    """Run a trial's model over candidates.

    Args:
        candidates: that are judged.
        trial: with its model's file.
    Raises:
        CorruptError: the model's file is not the recorded one, or holds what may not be loaded.
        DataError: the candidates lack what the model reads.
    """
    what = candidates.reading(trial.experiment)
    model = load_model(trial.model, sha256=trial.sha256)
    manifest = candidates.manifest
    factors = class_factors(trial, manifest) if manifest else {}
    return TrialOutput(trial, what, model, candidates.run(model, what), factors)


def class_factors(trial: Trial, manifest: Manifest) -> dict[str, float]:
    """Return what the loss of a trial multiplied the weights of each task class by."""
    task, training = trial.experiment.task, trial.experiment.training
    factors = class_weights(manifest, task, training.class_balance, factors=training.class_weights)
    return dict(zip(task.classes, factors.tolist(), strict=True))


def parse_selection(text: str, spectators: Sequence[str]) -> Expression:
    """Parse an expression on spectators and `event_number`.

    Args:
        text: for instance `pt > 30000 && prongs == 1`.
        spectators: that the candidates have.
    Raises:
        UsageError: it is no expression, or reads what is no spectator.
    """
    known = sorted({*spectators, EVENT_NUMBER})
    try:
        expression = parse(text)
    except ExpressionError as error:
        raise UsageError(f"--select: {error}") from error
    for name in expression.branches:
        if name not in known:
            raise UsageError(
                f"--select {text!r}: {name!r} is no spectator of the dataset"
                f"{nearest(name, known)}; there are {', '.join(known)}"
            )
    return expression


def selected(predictions: Predictions, expression: Expression) -> NDArray[np.bool_]:
    """Return which candidates an expression keeps, (N,) bool.

    Raises:
        DataError: it keeps nothing.
    """
    columns = {name: np.asarray(values) for name, values in predictions.columns.items()}
    if "event_numbers" in columns:
        columns[EVENT_NUMBER] = columns.pop("event_numbers")
    mask = expression.mask(columns, entries=len(predictions))
    if not mask.any():
        raise DataError(
            f"--select {expression.text!r} keeps none of {len(predictions):,} candidates"
        )
    return mask
