"""Evaluate: run a trial's model over the sealed test split, beside what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.prepared import PreparedDataset, SplitReader
from tauopt.deploy.reading import Reading, kept_candidates, predict_split, reading
from tauopt.deploy.trial import Trial
from tauopt.errors import DataError, UsageError, nearest
from tauopt.evaluation.contender import Contender, scored
from tauopt.evaluation.predictions import Predictions
from tauopt.models.saving import load_model
from tauopt.physics.expressions import Expression, ExpressionError, parse

EVENT_NUMBER = "event_number"


@dataclass(frozen=True)
class Ran:
    """A trial's model and what it says of candidates."""

    trial: Trial
    what: Reading
    model: Any
    predictions: Predictions


def run_on_test(trial: Trial, dataset: PreparedDataset, *, split: SplitReader) -> Ran:
    """Run a trial's model over a split.

    Raises:
        CorruptError: the model's file is not the recorded one, or holds what may not be loaded.
        DataError: the dataset lacks what the model reads.
    """
    what = reading(trial.experiment, dataset)
    model = load_model(trial.model, sha256=trial.sha256)
    return Ran(trial, what, model, predict_split(model, what, dataset, split=split))


def against_trial(
    ran: Ran, other: Trial, dataset: PreparedDataset, *, split: SplitReader
) -> tuple[NDArray[np.bool_], Contender]:
    """Run another trial over the same split.

    Returns:
        (N,) which of the first one's candidates the other's task keeps too, and the other's
        predictions of these.
    Raises:
        DataError: the other means something else by signal, or reads other features.
    """
    theirs = run_on_test(other, dataset, split=split)
    kept = kept_candidates(ran.what, dataset, split=split)
    kept_by_them = kept_candidates(theirs.what, dataset, split=split)
    common = theirs.predictions.where(kept[kept_by_them])
    mask = np.asarray(kept_by_them[kept])
    same = np.array_equal(common.is_signal, ran.predictions.is_signal[mask])
    if not same or common.has_background != ran.predictions.has_background:
        raise DataError(
            f"run {other.name} means something else by signal or background than {ran.trial.name}: "
            f"{_task(other)} against {_task(ran.trial)}"
        )
    return mask, Contender(_named(other, ran.trial), common)


def against_spectator(predictions: Predictions, name: str) -> Contender:
    """Take a score that is stored with the candidates.

    Raises:
        DataError: it is not finite for some of them.
    """
    score = np.asarray(predictions.columns[name], np.float64)
    if not np.isfinite(score).all():
        bad = int((~np.isfinite(score)).sum())
        raise DataError(f"the stored score {name!r} is not finite for {bad} candidates")
    return scored(name, score, predictions)


def parse_selection(text: str, spectators: Sequence[str]) -> Expression:
    """Parse an expression on spectators and `event_number`.

    Args:
        text: for instance `pt > 30000 && prongs == 1`.
        spectators: that the dataset has.
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


def _task(trial: Trial) -> str:
    task = trial.experiment.task
    return f"{', '.join(task.signal)} (of {', '.join(task.classes)})"


def _named(other: Trial, trial: Trial) -> str:
    if other.name != trial.name:
        return other.name
    return f"{other.name} ({other.run_id[:8] or other.sha256[:8]})"
