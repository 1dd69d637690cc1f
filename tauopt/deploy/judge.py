"""A trial's model run again: over the validation split and, that being well, the test split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tauopt
from tauopt.config.objective import CostName
from tauopt.dataset.prepared import PreparedDataset, SplitReader
from tauopt.deploy.champion import Challenge
from tauopt.deploy.reading import Reading, first_inputs, predict_split, reading
from tauopt.deploy.trial import Trial
from tauopt.deploy.verdict import Verdict, check_reproduced, tolerance
from tauopt.errors import CorruptError, PromotionRefused
from tauopt.evaluation.measured import Measured
from tauopt.evaluation.metrics import measure
from tauopt.evaluation.predictions import Predictions
from tauopt.evaluation.summary import summary
from tauopt.models.saving import load_model
from tauopt.progress import Progress
from tauopt.training.latency import latencies

LATENCIES = (CostName("latency_us"), CostName("latency_us", 256))
"""Measured of every model that is judged."""
EXAMPLES = 5
"""Candidates of the test split that go with a model as its input example."""


@dataclass(frozen=True)
class Judged:
    """A trial and what its model does on the test split."""

    trial: Trial
    what: Reading
    dataset: PreparedDataset
    split: SplitReader
    """The opened test split."""
    validation: Measured
    """The objective on the validation split, found again."""
    test: Predictions
    on_validation: Predictions
    """What the objective was found from."""
    example: Mapping[str, NDArray[Any]]
    """The first candidates of the test split, as the model takes them."""
    latencies: Mapping[str, Measured]


def judge(trial: Trial, dataset: PreparedDataset, *, progress: Progress) -> Judged:
    """Reload a trial's model, reproduce its validation score, then open the test split.

    Raises:
        PromotionRefused: the dataset is another one, the model holds what may not be loaded, or
            the score is not reproduced.
        DataError: the test split lacks signal or background.
    """
    if dataset.digest != trial.dataset_digest:
        raise PromotionRefused(
            f"run {trial.run_id} was trained on the dataset with digest {trial.dataset_digest}; "
            f"{dataset.folder} has {dataset.digest}, which is other data"
        )
    what = reading(trial.experiment, dataset)
    try:
        model = load_model(trial.model, sha256=trial.sha256)
    except CorruptError as error:
        raise PromotionRefused(f"run {trial.run_id}: {error}") from error
    progress.say("scoring the validation split again")
    found = predict_split(model, what, dataset, split=dataset.validation)
    validation = measure(trial.objective, found)
    check_reproduced(trial.value, validation)
    progress.say("scoring the test split, which no search has seen")
    split = dataset.sealed_test(opened_by=f"promote {trial.run_id}")
    example = first_inputs(what, dataset, split=split, candidates=EXAMPLES)
    return Judged(
        trial=trial,
        what=what,
        dataset=dataset,
        split=split,
        validation=validation,
        test=predict_split(model, what, dataset, split=split),
        on_validation=found,
        example=example,
        latencies=latencies(LATENCIES, model, example),
    )


def verdict_on(judged: Judged, found: Challenge, *, force: bool) -> Verdict:
    """Return the verdict that follows from the comparison with the champion."""
    trial, signal = judged.trial, int(np.count_nonzero(judged.test.is_signal))
    refused = found.outcome in ("worse", "not comparable")
    return Verdict(
        run_id=trial.run_id,
        run_name=trial.name,
        model=trial.registered_model,
        version="",
        model_sha256=trial.sha256,
        dataset=judged.dataset.manifest.name,
        dataset_digest=judged.dataset.digest,
        objective=str(trial.objective),
        validation={
            "recorded": trial.value,
            "found": judged.validation.value,
            "tolerance": tolerance(trial.value, judged.validation),
        },
        candidates={"signal": signal, "background": len(judged.test) - signal},
        test={name: value.triple for name, value in summary(judged.test).items()},
        latencies={name: value.triple for name, value in judged.latencies.items()},
        outcome=found.outcome,
        reason=found.reason,
        forced=refused and force,
        promoted=force or not refused,
        champion={"version": found.version, "run_id": found.run_id} if found.version else {},
        champion_test=found.test,
        difference=asdict(found.difference) if found.difference else {},
        time_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tauopt_version=tauopt.__version__,
    )
