"""Judge a trial: reproduce its validation score, then run it on the sealed test split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import CostName
from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.errors import CorruptError, PromotionRefused
from tauopt.evaluation.predict import ModelInputs, load, predict
from tauopt.evaluation.recorded_trial import Trial
from tauopt.evaluation.split_candidates import SplitCandidates
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.progress import Progress
from tauopt.training.latency import latencies

LATENCIES = (CostName("latency_us"), CostName("latency_us", 256))
"""Latencies that are measured for every model."""
EXAMPLES = 5
"""Candidates of the test split that are registered with a model as its input example."""
RELATIVE_TOLERANCE = 1e-3
"""Allowed difference of a validation score from the recorded one, relative to the latter, or ..."""
ERROR_TOLERANCE = 0.1
"""... relative to its statistical error, whichever is larger: other processors round differently,
so that a candidate at the cut may change sides."""


@dataclass(frozen=True)
class JudgedTrial:
    """A trial with its model's output on the validation and on the test split."""

    trial: Trial
    inputs: ModelInputs
    candidates: SplitCandidates
    """The sealed test split, opened."""
    validation: Estimate
    """The objective on the validation split, measured again."""
    test: Predictions
    on_validation: Predictions
    """Predictions from which `validation` was measured."""
    example: Mapping[str, NDArray[Any]]
    """Input arrays by name of the first candidates of the test split."""
    costs: Mapping[str, Estimate]
    """Latencies in microseconds per candidate and costs that the gate limits, by name."""

    @property
    def dataset(self) -> PreparedDataset:
        """The dataset that the trial was trained on."""
        return self.candidates.dataset


def judge(
    trial: Trial,
    dataset: PreparedDataset,
    *,
    progress: Progress,
    costs: Iterable[CostName] = (),
) -> JudgedTrial:
    """Reload a trial's model, reproduce its validation score, then open the test split.

    Args:
        trial: from `fetch_trial`.
        dataset: that it was trained on.
        progress: receives a message for each step.
        costs: to be measured beside the usual latencies.
    Raises:
        PromotionRefused: the dataset is another one, the model holds what may not be loaded, or
            the score is not reproduced.
        DataError: the test split lacks signal or background.
    """
    if dataset.digest != trial.dataset_digest:
        raise PromotionRefused(
            f"run {trial.run_id} was trained on the dataset with digest {trial.dataset_digest}; "
            f"{dataset.folder} has the digest {dataset.digest} and holds other data"
        )
    validation_split = SplitCandidates(dataset, dataset.validation)
    try:
        model = load(trial, validation_split)
    except CorruptError as error:
        raise PromotionRefused(f"run {trial.run_id}: {error}") from error
    progress.say("scoring the validation split again")
    on_validation = predict(model, validation_split)
    validation = measure(trial.objective, on_validation)
    _check_reproduced(trial.value, validation)
    progress.say("scoring the test split, which no search has seen")
    split = dataset.sealed_test(opened_by=f"promote {trial.run_id}")
    candidates = SplitCandidates(dataset, split)
    _, example = candidates.sample(model.inputs, most=EXAMPLES)
    return JudgedTrial(
        trial=trial,
        inputs=model.inputs,
        candidates=candidates,
        validation=validation,
        test=predict(model, candidates),
        on_validation=on_validation,
        example=example,
        costs=_costs({*LATENCIES, *costs}, model.network, example),
    )


def tolerance(recorded: float, measured: Estimate) -> float:
    """Return how far a validation score may be from the recorded one."""
    error = (measured.high - measured.low) / 2
    return max(RELATIVE_TOLERANCE * abs(recorded), ERROR_TOLERANCE * error)


def _check_reproduced(recorded: float, measured: Estimate) -> None:
    allowed = tolerance(recorded, measured)
    if not np.isfinite(recorded) or abs(measured.value - recorded) > allowed:
        raise PromotionRefused(
            f"the reloaded model scores {measured.value:.6g} on the validation split, the trial "
            f"recorded {recorded:.6g}; expected a difference of at most {allowed:.2g}: the model, "
            "the dataset or the code has changed since; see tauopt reproduce"
        )


def _costs(
    names: Iterable[CostName], network: Any, example: Mapping[str, NDArray[Any]]
) -> dict[str, Estimate]:
    ordered = sorted(names, key=lambda name: (name.quantity, name.batch))
    timed = [name for name in ordered if name.quantity == "latency_us"]
    size = float(network.count_params())
    sizes = {str(name): Estimate(size, size, size) for name in ordered if name not in timed}
    return {**latencies(timed, network, example), **sizes}
