"""All that an evaluation draws of a trial: run, chosen, compared, permuted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.evaluation.feature_importance import importance_of
from tauopt.evaluation.model_working_points import derived, recorded
from tauopt.evaluation.recorded_trial import Trial
from tauopt.evaluation.reference_score import against_file, against_spectator, against_trial
from tauopt.evaluation.run_trial import TrialOutput, parse_selection, run_on, selected
from tauopt.evaluation.split_candidates import EvaluationCandidates
from tauopt.evaluation.training_history import history
from tauopt.figures.figure_style import SampleLabel, weights_of
from tauopt.figures.performance.evaluation_figures import Subject
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.score_cuts import name_efficiencies
from tauopt.metrics.scored_trial import ScoredTrial, apply_working_points
from tauopt.metrics.standard_metrics import EFFICIENCIES
from tauopt.metrics.variable_axes import VARIABLES
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.physics.expressions import Expression
from tauopt.progress import Progress

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SEED = 2
"""Of permutations: the same evaluation finds the same importances."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What of an evaluation is wanted.

    Attributes:
        select: expression on spectators that keeps a candidate; empty keeps all.
        bins: spectators that efficiencies are drawn against; none are the usual ones.
        efficiencies: of the signal, of working points and rejections; none are the usual ones.
        other: the trial that it is compared with, ...
        stored: ... or the spectator whose score it is, ...
        stored_name: what figures call that.
        scores: ... or the file of scores; one of the three at most.
        importance: candidates that features are permuted among; 0 for none.
    """

    select: str = ""
    bins: Sequence[str] = ()
    efficiencies: Sequence[float] = ()
    other: Trial | None = None
    stored: str = ""
    stored_name: str = ""
    scores: Path | None = None
    importance: int = 0


@dataclass(frozen=True)
class TrialSplits:
    """Splits of the dataset that a trial was trained on."""

    train: EvaluationCandidates
    """All, or some of them."""
    validation: EvaluationCandidates


def subject_of(
    client: MlflowClient,
    trial: Trial,
    candidates: EvaluationCandidates,
    *,
    wish: EvaluationOptions,
    own: TrialSplits | None,
    progress: Progress,
) -> Subject:
    """Run a trial, and what it is compared with, and gather all that is drawn.

    Args:
        client: for the trial's history.
        trial: that is evaluated.
        candidates: on which.
        wish: what is wanted of it.
        own: the trial's own splits; None leaves out scores of training, and working points that
            no promotion has recorded.
        progress: told of every step.
    Raises:
        UsageError: the selection is no expression on spectators.
        DataError: nothing is selected, or the candidates can't be judged.
    """
    cut = parse_selection(wish.select, candidates.spectators) if wish.select else None
    progress.say(f"running {trial.name} on the {candidates.told}")
    ran = run_on(candidates, trial)
    mask, contenders = _compared(ran, candidates, wish, progress=progress)
    told = candidates.told
    if cut is not None:
        kept = selected(contenders[0].predictions, cut)
        contenders = [one.where(kept) for one in contenders]
        mask[mask] = kept
        told += f", {wish.select}"
    if contenders[0].predictions.has_background:
        points = _points(client, ran, own, progress=progress)
        if points is not None and wish.efficiencies:
            points = points.at_efficiencies(name_efficiencies(wish.efficiencies))
        contenders = apply_working_points(
            contenders, points, efficiencies=wish.efficiencies or EFFICIENCIES
        )
    data = trial.experiment.data
    subject = Subject(
        contenders,
        SampleLabel(data.name, told, weights_of(data, balanced=candidates.balanced)),
        bins=wish.bins or VARIABLES,
        efficiencies=wish.efficiencies or EFFICIENCIES,
        train=_learned(ran, own.train, cut, progress=progress) if own else None,
        history=history(client, trial),
        objective=trial.experiment.objective.first,
    )
    if not wish.importance:
        return subject
    importances, permuted = importance_of(
        ran, candidates, mask, most=wish.importance, rng=np.random.default_rng(_SEED),
        progress=progress,
    )  # fmt: skip
    return replace(subject, importances=importances, permuted=permuted)


def _compared(
    ran: TrialOutput,
    candidates: EvaluationCandidates,
    wish: EvaluationOptions,
    *,
    progress: Progress,
) -> tuple[NDArray[np.bool_], list[ScoredTrial]]:
    """Return which candidates (N,) are judged, and all who judge them."""
    trial = ScoredTrial(ran.trial.name, ran.predictions, factors=ran.factors)
    mask = np.ones(len(ran.predictions), np.bool_)
    if wish.other is not None:
        progress.say(f"running {wish.other.name}")
        mask, other = against_trial(ran, wish.other, candidates)
    elif wish.scores is not None:
        mask, other = against_file(wish.scores, ran.predictions)
    elif wish.stored:
        other = against_spectator(ran.predictions, wish.stored, told=wish.stored_name)
    else:
        return mask, [trial]
    if not mask.all():
        progress.say(f"{other.name} knows {mask.sum():,} of {len(mask):,} candidates: only these")
    return mask, [trial.where(mask), other]


def _points(
    client: MlflowClient, ran: TrialOutput, own: TrialSplits | None, *, progress: Progress
) -> WorkingPoints | None:
    """Return a trial's working points: recorded, or derived on its validation split, or none."""
    found = recorded(client, ran.trial)
    if found is not None or own is None:
        return found
    progress.say("deriving working points on the validation split")
    try:
        return derived(ran.trial, own.validation.run(ran.model, ran.what))
    except DataError as error:
        progress.say(f"plain cuts stand in for working points: {error}")
        return None


def _learned(
    ran: TrialOutput, learned: EvaluationCandidates, cut: Expression | None, *, progress: Progress
) -> Predictions:
    """Return what the trial says of what it has learned from, chosen as what it is judged on."""
    progress.say(f"running {ran.trial.name} on the {learned.told}")
    found = learned.run(ran.model, ran.what)
    return found if cut is None else found.where(selected(found, cut))
