"""Results of a finished trial in its folder: the best model, its predictions, numbers, figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tauopt import durable
from tauopt.config.settings.objective import ObjectiveName
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.trial_figure_set import write_figures
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.standard_metrics import summary
from tauopt.models.model_file import save_model
from tauopt.models.output_scores import with_scores
from tauopt.training.trial_plan import FIGURES, MODEL, PREDICTIONS, RESULT
from tauopt.training.trial_report import Tracker


@dataclass(frozen=True)
class BestModelOutput:
    """The best model's output on the validation split, and the objectives that it is measured by.

    Attributes:
        predictions: predictions of the whole split.
        objectives: objectives of the trial; the first one selected the best weights.
        latencies: latencies of the network that are objectives too.
        sample: sample and selection for the figures' labels.
        history: metrics of each report.
    """

    predictions: Predictions
    objectives: Sequence[ObjectiveName]
    latencies: Mapping[str, Estimate]
    sample: SampleLabel
    history: Sequence[Mapping[str, float]]

    def numbers(self) -> dict[str, Estimate]:
        """Return the standard metrics and the objectives."""
        numbers = summary(self.predictions)
        for name in self.objectives:
            if str(name) not in numbers:
                numbers[str(name)] = measure(name, self.predictions)
        return numbers


def write_results(
    folder: Path,
    network: keras.Model,
    output: BestModelOutput,
    *,
    facts: Mapping[str, Any],
    draw: bool = True,
) -> dict[str, Any]:
    """Write the best model, its predictions, figures, and last `result.json`; return its content.

    Args:
        folder: the trial's folder.
        network: the network with its best weights, not compiled.
        output: the network's output on the validation split.
        facts: further entries of `result.json`.
        draw: whether the figures are drawn too, which takes most of the time.
    """
    predictions = output.predictions
    model = with_scores(network, classes=predictions.classes, signal=predictions.signal)
    digest = save_model(model, folder / MODEL)
    objective = str(output.objectives[0])
    numbers = output.numbers()
    predictions.save(folder / PREDICTIONS)
    if draw:
        write_figures(
            predictions,
            folder / FIGURES,
            sample=output.sample,
            history=output.history,
            objective=objective,
            kept=numbers[objective].value,
        )
    result = {
        **facts,
        "objective": objective,
        "value": numbers[objective].value,
        "metrics": {name: estimate.triple for name, estimate in numbers.items()},
        "latencies": {name: estimate.triple for name, estimate in output.latencies.items()},
        "limits": sorted(name for name, estimate in numbers.items() if estimate.limit),
        "model_sha256": digest,
        "predictions_sha256": durable.sha256_file(folder / PREDICTIONS),
        "parameters": int(network.count_params()),
    }
    # Last: a result.json means that all other files are complete.
    durable.write_json(folder / RESULT, result)
    return result


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the content of a trial's `result.json`.

    None if it is missing or damaged, or if the model file is missing or differs from its digest.
    """
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text())
        intact = durable.sha256_file(folder / MODEL) == result["model_sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return result if intact else None


def value_of(result: Mapping[str, Any], objective: str) -> float:
    """Return the value of an objective in a result, by the objective's name."""
    if objective in result:  # the number of parameters stands outside metrics and latencies
        return float(result[objective])
    return float((result["metrics"] | result["latencies"])[objective][0])


def intervals_of(
    result: Mapping[str, Any], objectives: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """Return the ends of the 68 % intervals of those objectives that have one."""
    triples = result["metrics"] | result["latencies"]
    return {name: (triples[name][1], triples[name][2]) for name in objectives if name in triples}


def record_results(tracker: Tracker, folder: Path, result: Mapping[str, Any], *, step: int) -> None:
    """Record the results in the tracker: metrics with their intervals, and the files."""
    values: dict[str, float] = {"parameters": result["parameters"]}
    # `validation_` sorts these metrics after the learning curves in MLflow's UI. Slashes are
    # replaced, because the UI puts a metric with a slash into a section before all others.
    metrics = {
        f"validation_{name.replace('/', '_')}": triple for name, triple in result["metrics"].items()
    }
    constrained = {
        f"constraint_{name.replace('/', '_')}": [each["value"], each["low"], each["high"]]
        for name, each in result.get("constraints", {}).items()
    }
    for name, (value, low, high) in (metrics | result["latencies"] | constrained).items():
        values |= {name: value, f"{name}_low": low, f"{name}_high": high}
    tracker.metrics(values, step=step)
    tracker.artifact(folder / MODEL, folder="model")
    for path in sorted((folder / FIGURES).iterdir()):
        tracker.artifact(path, folder=FIGURES)
    tracker.artifact(folder / PREDICTIONS)
    tracker.artifact(folder / RESULT)
