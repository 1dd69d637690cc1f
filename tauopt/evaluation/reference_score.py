"""What a trial is compared with: another trial, or a score that is stored with candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.evaluation.recorded_trial import Trial
from tauopt.evaluation.run_trial import TrialOutput, run_on
from tauopt.evaluation.score_table import join, read_scores
from tauopt.evaluation.split_candidates import EvaluationCandidates
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import ScoredTrial, from_stored_score


def against_trial(
    ran: TrialOutput, other: Trial, candidates: EvaluationCandidates
) -> tuple[NDArray[np.bool_], ScoredTrial]:
    """Run another trial over the same candidates.

    Returns:
        (N,) which of the first one's candidates the other's task keeps too, and the other's
        predictions of these.
    Raises:
        DataError: the other means something else by signal, or reads other features.
    """
    theirs = run_on(candidates, other)
    kept, kept_by_them = candidates.kept(ran.what), candidates.kept(theirs.what)
    common = theirs.predictions.where(kept[kept_by_them])
    mask = np.asarray(kept_by_them[kept])
    same = np.array_equal(common.is_signal, ran.predictions.is_signal[mask])
    if not same or common.has_background != ran.predictions.has_background:
        raise DataError(
            f"run {other.name} means something else by signal or background than "
            f"{ran.trial.name}: {_task(other)} against {_task(ran.trial)}"
        )
    return mask, ScoredTrial(_named(other, ran.trial), common, factors=theirs.factors)


def against_file(path: Path, predictions: Predictions) -> tuple[NDArray[np.bool_], ScoredTrial]:
    """Take the scores of a file; see `score_file`.

    Returns:
        (N,) which candidates have one, and these scores.
    Raises:
        DataError: see `score_file`.
    """
    mask, score = join(read_scores(path), predictions, path=path)
    return mask, from_stored_score(path.stem, score, predictions.where(mask))


def against_spectator(predictions: Predictions, name: str, *, told: str = "") -> ScoredTrial:
    """Take a score that is stored with the candidates.

    Args:
        predictions: with the score among the spectators.
        name: of the spectator.
        told: what figures call it; empty is its name.
    Raises:
        DataError: it is not finite for some of them.
    """
    score = np.asarray(predictions.columns[name], np.float64)
    if not np.isfinite(score).all():
        bad = int((~np.isfinite(score)).sum())
        raise DataError(f"the stored score {told or name!r} is not finite for {bad} candidates")
    return from_stored_score(told or name, score, predictions)


def _task(trial: Trial) -> str:
    task = trial.experiment.task
    return f"{', '.join(task.signal)} (of {', '.join(task.classes)})"


def _named(other: Trial, trial: Trial) -> str:
    if other.name != trial.name:
        return other.name
    return f"{other.name} ({other.run_id[:8] or other.sha256[:8]})"
