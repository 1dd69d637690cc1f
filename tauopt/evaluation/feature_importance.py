"""Permutation importance of a trial's features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.inputs import CANDIDATE
from tauopt.evaluation.run_trial import TrialOutput
from tauopt.evaluation.split_candidates import EvaluationCandidates
from tauopt.metrics.permutation_importance import (
    InputArrays,
    PermutationImportance,
    PermutedCandidates,
    importances,
)
from tauopt.metrics.predictions import Predictions
from tauopt.progress import Progress
from tauopt.stream.batches import Batch
from tauopt.training.prediction import BATCH_SIZE, Predictor


def importance_of(
    ran: TrialOutput,
    candidates: EvaluationCandidates,
    mask: NDArray[np.bool_],
    *,
    most: int,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[list[PermutationImportance], Predictions]:
    """Permute groups and features of some candidates; see `evaluation.importance`.

    Args:
        ran: the trial on the candidates.
        candidates: that the trial was run on.
        mask: (N,) which of those that the task keeps are evaluated.
        most: so many of all are looked at, and of them those in the mask.
        rng: of permutations and bootstraps.
        progress: told of each feature.
    Returns:
        what each is worth, and the predictions of the candidates used.
    """
    numbers, inputs = candidates.sample(ran.what, most=most)
    there = mask[numbers]
    chosen = np.zeros(len(mask), np.bool_)
    chosen[numbers[there]] = True
    predictions = ran.predictions.where(chosen)
    material = PermutedCandidates(
        {name: values[there] for name, values in inputs.items()}, predictions, ran.what.features
    )
    run = Predictor(ran.model)

    def predict(arrays: InputArrays) -> NDArray[np.float32]:
        return run(_batches(arrays), candidates=len(predictions), alive=lambda: None)

    count = sum(1 + len(names) for names in ran.what.features.values())
    progress.begin("permuting features", count, "features")
    return list(importances(predict, material, rng=rng, advance=progress.advance)), predictions


def _batches(inputs: InputArrays) -> Iterator[Batch]:
    """Cut inputs into batches."""
    for begin in range(0, len(inputs[CANDIDATE]), BATCH_SIZE):
        part = {name: values[begin : begin + BATCH_SIZE] for name, values in inputs.items()}
        size = len(part[CANDIDATE])
        yield Batch(part, np.zeros(size, np.int16), np.ones(size, np.float32))
