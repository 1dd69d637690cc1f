"""What the figures and tables of an evaluation are made from: scores, cuts, importances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.inputs import CANDIDATE
from tauopt.errors import DataError
from tauopt.evaluation.model_working_points import derive_points, recorded_points
from tauopt.evaluation.predict import EvaluationCandidates, predict
from tauopt.evaluation.recorded_trial import Trial, history
from tauopt.evaluation.run_trial import (
    TrialOutput,
    against_trial,
    parse_selection,
    run_on,
    selected,
)
from tauopt.evaluation.score_table import against_file, against_spectator
from tauopt.figures.figure_style import SampleLabel, weights_of
from tauopt.figures.performance.evaluation_figures import Subject
from tauopt.metrics.permutation_importance import (
    InputArrays,
    PermutationImportance,
    PermutedCandidates,
    importances,
)
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.score_cuts import name_efficiencies
from tauopt.metrics.scored_trial import ScoredTrial, apply_working_points
from tauopt.metrics.standard_metrics import EFFICIENCIES
from tauopt.metrics.variable_axes import VARIABLES
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.physics.expressions import Expression
from tauopt.progress import Progress
from tauopt.training.prediction import BATCH_SIZE

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PERMUTATION_SEED = 2
"""Not the bootstraps' seed: permutations shall not use the random numbers that these use."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation.

    Attributes:
        select: expression on spectators that a candidate has to pass; empty keeps all.
        bins: spectators that efficiencies are drawn against; empty takes the usual ones.
        efficiencies: signal efficiencies of working points and rejections; empty takes the usual.
        other: the trial to compare with, or
        stored: the spectator that holds the score to compare with, or
        scores: the CSV file of scores to compare with; at most one of the three is given.
        stored_name: name of the stored score in figures.
        importance: number of candidates that features are permuted among; 0 leaves it out.
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
    """Training and validation split of the dataset that a trial was trained on."""

    train: EvaluationCandidates
    """All of the training split, or some of it."""
    validation: EvaluationCandidates


def subject_of(
    client: MlflowClient,
    trial: Trial,
    candidates: EvaluationCandidates,
    *,
    options: EvaluationOptions,
    splits: TrialSplits | None,
    progress: Progress,
) -> Subject:
    """Run a trial and what it is compared with, and gather all that is drawn.

    Args:
        client: from `tracking.client.connect`, for the learning curves.
        trial: to be evaluated.
        candidates: to evaluate it on.
        options: of the evaluation.
        splits: of the trial's own dataset; None leaves out the scores on the training split, and
            working points that no promotion has recorded.
        progress: receives a message for each step.
    Raises:
        UsageError: the selection is no expression on spectators.
        DataError: no candidate is selected, or the candidates can't be judged.
        CorruptError: a model or recorded working points were altered.
        ServiceError: MLflow does not answer.
    """
    cut = parse_selection(options.select, candidates.spectators) if options.select else None
    progress.say(f"running {trial.name} on the {candidates.description}")
    output = run_on(candidates, trial)
    mask, contenders = _contenders(output, candidates, options, progress=progress)
    description = candidates.description
    if cut is not None:
        passed = selected(contenders[0].predictions, cut)
        contenders = [contender.where(passed) for contender in contenders]
        mask[mask] = passed
        description += f", {options.select}"
    efficiencies = options.efficiencies or EFFICIENCIES
    if contenders[0].predictions.has_background:
        points = _working_points(client, output, splits, progress=progress)
        if points is not None and options.efficiencies:
            points = points.at_efficiencies(name_efficiencies(options.efficiencies))
        contenders = apply_working_points(contenders, points, efficiencies=efficiencies)
    data = trial.experiment.data
    subject = Subject(
        contenders,
        SampleLabel(data.name, description, weights_of(data, balanced=candidates.balanced)),
        bins=options.bins or VARIABLES,
        efficiencies=efficiencies,
        train=_on_training_split(output, splits.train, cut, progress=progress) if splits else None,
        history=history(client, trial),
        objective=trial.experiment.objective.first,
        kept=trial.value,
    )
    if not options.importance:
        return subject
    features, permuted = _importances(
        output, candidates, mask, most=options.importance, progress=progress
    )
    return replace(subject, importances=features, permuted=permuted)


def _contenders(
    output: TrialOutput,
    candidates: EvaluationCandidates,
    options: EvaluationOptions,
    *,
    progress: Progress,
) -> tuple[NDArray[np.bool_], list[ScoredTrial]]:
    """Return which candidates (N,) all contenders have a score for, and the contenders on those."""
    trial = ScoredTrial(output.trial.name, output.predictions, factors=output.factors)
    mask = np.ones(len(output.predictions), np.bool_)
    if options.other is not None:
        progress.say(f"running {options.other.name}")
        mask, other = against_trial(output, options.other, candidates)
    elif options.scores is not None:
        mask, other = against_file(options.scores, output.predictions)
    elif options.stored:
        other = against_spectator(output.predictions, options.stored, label=options.stored_name)
    else:
        return mask, [trial]
    if not mask.all():
        progress.say(
            f"{other.name} has scores for {mask.sum():,} of {len(mask):,} candidates: only these "
            "are judged"
        )
    return mask, [trial.where(mask), other]


def _working_points(
    client: MlflowClient, output: TrialOutput, splits: TrialSplits | None, *, progress: Progress
) -> WorkingPoints | None:
    """Return a trial's working points: recorded, or derived on its validation split, or none."""
    points = recorded_points(client, output.trial)
    if points is not None or splits is None:
        return points
    progress.say("deriving working points on the validation split")
    try:
        return derive_points(output.trial, predict(output.model, splits.validation))
    except DataError as error:
        progress.say(f"cuts on the score alone stand in for working points: {error}")
        return None


def _on_training_split(
    output: TrialOutput, train: EvaluationCandidates, cut: Expression | None, *, progress: Progress
) -> Predictions:
    """Return the trial's predictions on the training split, under the same selection."""
    progress.say(f"running {output.trial.name} on the {train.description}")
    predictions = predict(output.model, train)
    return predictions if cut is None else predictions.where(selected(predictions, cut))


def _importances(
    output: TrialOutput,
    candidates: EvaluationCandidates,
    mask: NDArray[np.bool_],
    *,
    most: int,
    progress: Progress,
) -> tuple[list[PermutationImportance], Predictions]:
    """Measure the permutation importance of each group and feature of a trial's model.

    Args:
        output: of the trial on the candidates.
        candidates: that the trial was run on.
        mask: (N,) which of those that the task keeps are judged.
        most: number of candidates sampled; those of them in the mask are used.
        progress: advances with each group and feature.
    Returns:
        the importances, and the predictions on the candidates used.
    """
    positions, arrays = candidates.sample(output.model.inputs, most=most)
    in_mask = mask[positions]
    used = np.zeros(len(mask), np.bool_)
    used[positions[in_mask]] = True
    predictions, features = output.predictions.where(used), output.model.inputs.features
    material = PermutedCandidates(
        {name: values[in_mask] for name, values in arrays.items()}, predictions, features
    )

    def probabilities(permuted: InputArrays) -> NDArray[np.float32]:
        return output.model.probabilities(_in_batches(permuted))

    progress.begin("permuting features", sum(1 + len(x) for x in features.values()), "features")
    rng = np.random.default_rng(_PERMUTATION_SEED)
    per_feature = importances(probabilities, material, rng=rng, advance=progress.advance)
    return list(per_feature), predictions


def _in_batches(arrays: InputArrays) -> Iterator[InputArrays]:
    for begin in range(0, len(arrays[CANDIDATE]), BATCH_SIZE):
        yield {name: values[begin : begin + BATCH_SIZE] for name, values in arrays.items()}
