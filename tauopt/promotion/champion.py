"""The present champion, and how a trial compares with it on the same candidates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tauopt.config.settings.objective import ObjectiveName
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
from tauopt.errors import DataError
from tauopt.evaluation.model_inputs import (
    READING,
    ModelInputs,
    kept_candidates,
    parse_reading,
    predict_split,
)
from tauopt.metrics.bootstrap import Difference, paired_bootstrap
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.standard_metrics import summary
from tauopt.models.model_file import load_model
from tauopt.promotion.verdict import REPLICAS, Outcome, compare
from tauopt.tracking.registry import VERDICT, champion, fetch_model

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Challenger:
    """A trial on the test split: what a champion is compared with."""

    what: ModelInputs
    predictions: Predictions
    objective: ObjectiveName
    dataset: PreparedDataset
    split: SplitReader


@dataclass(frozen=True)
class Challenge:
    """What came of comparing a trial with the champion; fields as in `Verdict`."""

    outcome: Outcome
    reason: str
    version: str = ""
    """Of the champion; empty if there is none."""
    run_id: str = ""
    test: Mapping[str, list[float]] = field(default_factory=dict)
    difference: Difference | None = None
    pair: tuple[Predictions, Predictions] | None = None
    """What the trial and the champion say of the candidates that both judge."""
    data: Mapping[str, str] = field(default_factory=dict)
    """`name` and `digest` of the prepared dataset that the champion was judged on, where known."""


def challenge(
    client: MlflowClient,
    name: str,
    challenger: Challenger,
    *,
    folder: Path,
    rng: np.random.Generator,
    allowed: float = 0.0,
) -> Challenge:
    """Compare a trial with the champion of the registered model `name`.

    Both judge the candidates that both tasks keep. A champion that can't be run there (altered,
    other features, other meaning of signal) is `not comparable`.

    Args:
        client: from `tracking.client.connect`.
        name: registered model.
        challenger: the trial, judged already.
        folder: for the champion's file.
        rng: for the bootstrap.
        allowed: part of the champion's objective that may be lost.
    Raises:
        ServiceError: the registry does not answer.
    """
    present = champion(client, name)
    if present is None:
        return Challenge(*compare(None))
    try:
        mine, theirs = _pair(client, present, challenger, folder=folder)
        found = _compared(challenger.objective, mine, theirs, rng=rng, allowed=allowed)
    except DataError as error:
        reason = f"can't be compared with the champion, version {present.version}: {error}"
        found = Challenge("not comparable", reason)
    return replace(
        found, version=str(present.version), run_id=str(present.run_id), data=_data(present.tags)
    )


def _data(tags: Mapping[str, str]) -> dict[str, str]:
    """Return name and digest of the dataset that a version was judged on; less where unknown."""
    try:
        verdict = json.loads(tags[VERDICT])
        return {"name": str(verdict["dataset"]), "digest": str(verdict["dataset_digest"])}
    except (KeyError, ValueError, TypeError):
        return {}  # registered by other means


def _pair(
    client: MlflowClient, present: Any, challenger: Challenger, *, folder: Path
) -> tuple[Predictions, Predictions]:
    """Return what the trial and the champion say of the candidates that both tasks keep."""
    path, sha256 = fetch_model(client, present, folder=folder)
    what = parse_reading(present.tags.get(READING, ""))
    of_classes = not challenger.objective.needs_background
    if of_classes and what.task.classes != challenger.what.task.classes:
        raise DataError("accuracies of different tasks say nothing of each other")
    dataset, split = challenger.dataset, challenger.split
    theirs = predict_split(load_model(path, sha256=sha256), what, dataset, split=split)
    kept = kept_candidates(challenger.what, dataset, split=split)
    kept_by_them = kept_candidates(what, dataset, split=split)
    mine = challenger.predictions.where(kept_by_them[kept])
    return mine, theirs.where(kept[kept_by_them])


def _compared(
    objective: ObjectiveName,
    mine: Predictions,
    theirs: Predictions,
    *,
    rng: np.random.Generator,
    allowed: float,
) -> Challenge:
    difference = paired_bootstrap(
        objective, mine, theirs, rng=rng, replicas=REPLICAS, allowed=allowed
    )
    return Challenge(
        *compare(difference, allowed=allowed),
        test={metric: value.triple for metric, value in summary(theirs).items()},
        difference=difference,
        pair=(mine, theirs),
    )
