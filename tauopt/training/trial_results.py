"""What a finished trial leaves in its folder: the best model, its predictions, numbers, figures.

`result.json` is written last: where it stands, all the rest is whole.
"""

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
from tauopt.training.trial_files import FIGURES, MODEL, PREDICTIONS, RESULT
from tauopt.training.trial_report import Tracker


@dataclass(frozen=True)
class BestModelOutput:
    """The best model's output on the validation split, and what it is measured by.

    Attributes:
        predictions: of the whole split.
        objectives: what the trial is compared by; its best weights by the first.
        latencies: of the network, those that the trial is compared by too.
        sample: for the figures' labels.
        history: the metrics of each report.
    """

    predictions: Predictions
    objectives: Sequence[ObjectiveName]
    latencies: Mapping[str, Estimate]
    sample: SampleLabel
    history: Sequence[Mapping[str, float]]

    def numbers(self) -> dict[str, Estimate]:
        """Return the standard numbers and the objectives."""
        numbers = summary(self.predictions)
        for name in self.objectives:
            if str(name) not in numbers:
                numbers[str(name)] = measure(name, self.predictions)
        return numbers


def write_results(
    folder: Path, network: keras.Model, judged: BestModelOutput, *, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the best model, its predictions, figures, and last `result.json`; return its content.

    Args:
        folder: of the trial.
        network: with its best weights, not compiled.
        judged: its output.
        facts: what else to say in the result.
    """
    found = judged.predictions
    saved = with_scores(network, classes=found.classes, signal=found.signal)
    digest = save_model(saved, folder / MODEL)
    objective = str(judged.objectives[0])
    judged.predictions.save(folder / PREDICTIONS)
    write_figures(
        judged.predictions,
        folder / FIGURES,
        sample=judged.sample,
        history=judged.history,
        objective=objective,
    )
    numbers = judged.numbers()
    result = {
        **facts,
        "objective": objective,
        "value": numbers[objective].value,
        "metrics": {name: measured.triple for name, measured in numbers.items()},
        "latencies": {name: measured.triple for name, measured in judged.latencies.items()},
        "limits": sorted(name for name, measured in numbers.items() if measured.limit),
        "model_sha256": digest,
        "predictions_sha256": durable.sha256_file(folder / PREDICTIONS),
        "parameters": int(network.count_params()),
    }
    durable.write_json(folder / RESULT, result)
    return result


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the content of a trial's `result.json`; None where there is none, or a damaged one.

    The model is looked at too: a result whose model is gone or altered is none.
    """
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text())
        intact = durable.sha256_file(folder / MODEL) == result["model_sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return result if intact else None


def value_of(result: Mapping[str, Any], objective: str) -> float:
    """Return what a result says of an objective, by the objective's name."""
    if objective in result:  # the number of parameters
        return float(result[objective])
    return float((result["metrics"] | result["latencies"])[objective][0])


def intervals_of(
    result: Mapping[str, Any], objectives: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """Return the ends of the 68 % intervals of those objectives that have one."""
    triples = result["metrics"] | result["latencies"]
    return {name: (triples[name][1], triples[name][2]) for name in objectives if name in triples}


def record_results(tracker: Tracker, folder: Path, result: Mapping[str, Any], *, step: int) -> None:
    """Give the tracker what `write_results` wrote: metrics with their errors, and files.

    `validation_<metric>` sorts behind the learning curves. MLflow's UI shows a metric with a slash
    in a section of its own before all without one, so there is none.
    """
    values: dict[str, float] = {"parameters": result["parameters"]}
    metrics = {
        f"validation_{name.replace('/', '_')}": triple for name, triple in result["metrics"].items()
    }
    for name, (value, low, high) in (metrics | result["latencies"]).items():
        values |= {name: value, f"{name}_low": low, f"{name}_high": high}
    tracker.metrics(values, step=step)
    tracker.artifact(folder / MODEL, folder="model")
    for path in sorted((folder / FIGURES).iterdir()):
        tracker.artifact(path, folder=FIGURES)
    tracker.artifact(folder / PREDICTIONS)
    tracker.artifact(folder / RESULT)
