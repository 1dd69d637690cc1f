"""A trial's model run again: over the validation split and, that being well, the test split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tauopt.config.settings.objective import CostName
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
from tauopt.errors import CorruptError, PromotionRefused
from tauopt.evaluation.model_inputs import ModelInputs, first_inputs, predict_split, reading
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.models.model_file import load_model
from tauopt.progress import Progress
from tauopt.promotion.verdict import check_reproduced
from tauopt.training.latency import latencies

LATENCIES = (CostName("latency_us"), CostName("latency_us", 256))
"""Measured of every model that is judged."""
EXAMPLES = 5
"""Candidates of the test split that go with a model as its input example."""


@dataclass(frozen=True)
class JudgedTrial:
    """A trial and what its model does on the test split."""

    trial: Trial
    what: ModelInputs
    dataset: PreparedDataset
    split: SplitReader
    """The opened test split."""
    validation: Estimate
    """The objective on the validation split, found again."""
    test: Predictions
    on_validation: Predictions
    """What the objective was found from."""
    example: Mapping[str, NDArray[Any]]
    """The first candidates of the test split, as the model takes them."""
    costs: Mapping[str, Estimate]
    """Latencies, and all that the gate limits, by name."""


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
        progress: told of every step.
        costs: to measure beside the usual latencies.
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
    return JudgedTrial(
        trial=trial,
        what=what,
        dataset=dataset,
        split=split,
        validation=validation,
        test=predict_split(model, what, dataset, split=split),
        on_validation=found,
        example=example,
        costs=_costs({*LATENCIES, *costs}, model, example),
    )


def _costs(
    names: Iterable[CostName], model: Any, example: Mapping[str, NDArray[Any]]
) -> dict[str, Estimate]:
    ordered = sorted(names, key=lambda name: (name.quantity, name.batch))
    timed = [name for name in ordered if name.quantity == "latency_us"]
    size = float(model.count_params())
    sizes = {str(name): Estimate(size, size, size) for name in ordered if name not in timed}
    return {**latencies(timed, model, example), **sizes}
