"""Run trials over candidates that no search has seen, alone or against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import Manifest
from tauopt.dataset.network_inputs import class_weights
from tauopt.errors import DataError, UsageError, nearest
from tauopt.evaluation.predict import EvaluationCandidates, LoadedModel, load, predict
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.physics.expressions import Expression, ExpressionError, parse
from tauopt.progress import Progress

EVENT_NUMBER = "event_number"
"""Name in `--select` of the column that `Predictions` call `event_numbers`."""


@dataclass(frozen=True)
class TrialOutput:
    """A trial's model and its output on candidates."""

    trial: Trial
    model: LoadedModel
    predictions: Predictions
    factors: Mapping[str, float] = field(default_factory=dict)
    """Task class -> factor on its weights in the loss; empty where that is unknown."""


def run_on(candidates: EvaluationCandidates, trial: Trial) -> TrialOutput:
    """Run a trial's model over candidates.

    Args:
        candidates: to be judged.
        trial: with its model's file.
    Raises:
        CorruptError: the model's file is not the recorded one, or holds what may not be loaded.
        DataError: the candidates lack what the model reads.
    """
    model = load(trial, candidates)
    manifest = candidates.manifest
    factors = class_factors(trial, manifest) if manifest else {}
    return TrialOutput(trial, model, predict(model, candidates), factors)


def class_factors(trial: Trial, manifest: Manifest) -> dict[str, float]:
    """Return the factor on the weights of each task class in the loss of a trial."""
    task, training = trial.experiment.task, trial.experiment.training
    factors = class_weights(manifest, task, training.class_balance, factors=training.class_weights)
    return dict(zip(task.classes, factors.tolist(), strict=True))


def against_trial(
    base: TrialOutput, other: Trial, candidates: EvaluationCandidates
) -> tuple[NDArray[np.bool_], ScoredTrial]:
    """Run another trial over the candidates that a first one was run on.

    Args:
        base: output of the first trial.
        other: the other trial.
        candidates: that `base` was run on.
    Returns:
        mask (N,) over the first trial's candidates, True where the task of the other keeps them
        too; and the other's predictions of those.
    Raises:
        DataError: the two mean different classes by signal, or the other reads other features.
    """
    output = run_on(candidates, other)
    kept = candidates.kept(base.model.inputs)
    kept_by_other = candidates.kept(output.model.inputs)
    common = output.predictions.where(kept[kept_by_other])
    mask = np.asarray(kept_by_other[kept])
    same_signal = np.array_equal(common.is_signal, base.predictions.is_signal[mask])
    if not same_signal or common.has_background != base.predictions.has_background:
        raise DataError(
            f"run {other.name} means something else by signal or background than "
            f"{base.trial.name}: {_task(other)} against {_task(base.trial)}"
        )
    name = other.name
    if name == base.trial.name:  # names repeat from search to search
        name = f"{name} ({other.run_id[:8] or other.sha256[:8]})"
    return mask, ScoredTrial(name, common, factors=output.factors)


def _task(trial: Trial) -> str:
    task = trial.experiment.task
    return f"{', '.join(task.signal)} (of {', '.join(task.classes)})"


def contenders_of(
    trials: Mapping[str, Trial], candidates: EvaluationCandidates, *, progress: Progress
) -> list[ScoredTrial]:
    """Run several trials over the candidates that all their tasks keep.

    Args:
        trials: name -> trial; the first one is the base.
        candidates: to be judged.
        progress: receives a message for each trial.
    Raises:
        DataError: a trial means other classes by signal than the base, reads other features than
            the candidates have, or no candidate is common to all.
    """
    (base_name, first), *others = trials.items()
    progress.say(f"running {base_name} on the {candidates.description}")
    base = run_on(candidates, first)
    common = np.ones(len(base.predictions), np.bool_)
    scored = []
    for name, trial in others:
        progress.say(f"running {name}")
        mask, other = against_trial(base, trial, candidates)
        scored.append((mask, replace(other, name=name)))
        common &= mask
    if not common.any():
        raise DataError(
            "no candidate belongs to the tasks of all these trials; compare trials with common "
            "signal and background classes"
        )
    first_scored = ScoredTrial(base_name, base.predictions, factors=base.factors)
    return [first_scored.where(common), *(other.where(common[mask]) for mask, other in scored)]


def parse_selection(text: str, spectators: Sequence[str]) -> Expression:
    """Parse an expression on spectators and `event_number`.

    Args:
        text: for instance `pt > 30000 && prongs == 1`.
        spectators: names of the candidates' spectators.
    Raises:
        UsageError: the text is no expression, or reads what is no spectator.
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
    """Return the candidates that pass an expression, (N,) bool.

    Raises:
        DataError: no candidate passes.
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
