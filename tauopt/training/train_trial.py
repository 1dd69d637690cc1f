"""Training of one trial from plan to results, report by report; can be killed and resumed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tauopt import durable
from tauopt.config.settings.objective import parse_objective
from tauopt.errors import CorruptError, Interrupted, TrialFailed
from tauopt.figures.figure_style import SampleLabel
from tauopt.metrics.constraint_values import ConstraintValue
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.influence import paired_value
from tauopt.metrics.log_loss import log_loss
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.models.devices import limit_devices
from tauopt.prepare.direct_streaming import open_dataset
from tauopt.training import trial_results
from tauopt.training.best_report import BROKEN, best_report, merit, monitored
from tauopt.training.checkpoints import (
    Checkpoint,
    TrainingState,
    WeightArrays,
    load_checkpoint,
    save_checkpoint,
)
from tauopt.training.early_stopping import on_plateau, stops
from tauopt.training.fit_segment import fit
from tauopt.training.latency import latencies
from tauopt.training.network_and_data import Trainer, TrialData
from tauopt.training.rungs import Rungs
from tauopt.training.trial_constraints import constraints_of_report, costs_of, with_costs
from tauopt.training.trial_identity import METHOD, METHOD_KEY, check_same, identity
from tauopt.training.trial_plan import TrialPlan, read_plan
from tauopt.training.trial_report import Tracker, TrialReport

logger = logging.getLogger(__name__)

LOG_LOSS = "log_loss"
"""Name of the metric of a report; see `tauopt.metrics.log_loss`."""
PRUNED = "pruned"
"""Why the training of a pruned trial ended, in its result."""
CHECKPOINT_EVERY_S = 600.0
"""Seconds between checkpoints within a rung: a kill loses at most so much training."""


def run_trial(
    plan: TrialPlan,
    *,
    tracker: Tracker,
    stop: Callable[[], bool] = lambda: False,
    after: int | None = None,
) -> Generator[TrialReport, None, None]:
    """Train and evaluate one trial, report by report.

    A report is yielded when its checkpoint is on disk. A trial whose folder holds a checkpoint
    continues there, with the same weights as if it had never been interrupted, and yields only new
    reports; the last report of a finished trial is yielded again.

    Args:
        plan: settings, dataset, folder and seed of the trial.
        tracker: records parameters, metrics and files.
        stop: called after each batch; True ends the trial at a checkpoint.
        after: number of the last report that the caller has received; later reports that are in
            the checkpoint already, for instance of a trial killed between checkpoint and report,
            are yielded again. None: all were received.
    Raises:
        TrialFailed: loss or metric is not finite.
        DataError: the dataset can't be read, or does not fit the task.
        UsageError: the folder holds the checkpoint of another trial.
        CorruptError: no checkpoint is intact, or a chunk of the dataset is damaged.
        Interrupted: `stop` returned True; the checkpoint is written.
    """
    limit_devices(cpus=plan.experiment.search.resources.cpus)
    trial = _Trial(plan, tracker, stop)
    for entry in trial.state.history:
        if after is not None and entry["number"] > after and not trial.is_last(entry):
            yield trial.report(entry, done=False)
    while not trial.state.ended:
        trial.train_rung()
        entry = trial.evaluate()
        trial.save()
        trial.record(entry)
        if not trial.state.ended:
            yield trial.report(entry, done=False)
    yield trial.finish()


class _Trial:
    """A running trial: data, network, rungs and state."""

    def __init__(self, plan: TrialPlan, tracker: Tracker, stop: Callable[[], bool]) -> None:
        self.plan, self.tracker, self.stop = plan, tracker, stop
        self.training = plan.experiment.training
        self.objective = plan.experiment.objective
        self.name = parse_objective(self.objective.first)
        self.data = TrialData(open_dataset(plan.dataset), plan.experiment, plan.seed)
        _ = self.data.class_weights  # raises for a class without candidates before files are made
        self.rungs = Rungs.from_training(self.training, candidates=self.data.candidates)
        plan.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = load_checkpoint(plan.folder)
        self.identity = identity(plan, dataset_digest=self.data.dataset.digest)
        if checkpoint is not None:
            check_same(self.identity, checkpoint.state["identity"], folder=plan.folder)
        self.trainer = Trainer(
            self.data.spec, plan.experiment, seed=plan.seed, candidates=self.rungs.total
        )
        self.state = TrainingState(target=self.rungs.next(0))
        self.best_weights: WeightArrays = []
        self.best_probabilities: npt.NDArray[np.float32] | None = None
        tracker.start(params=plan.params, tags=plan.tags)
        if checkpoint is not None:
            self._restore(checkpoint)

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.state = TrainingState.from_json(dict(checkpoint.state["training"]))
        arrays = dict(checkpoint.arrays)
        self.best_weights = arrays.pop("best", [])
        now, then = self.trainer.precision, checkpoint.state["precision"]
        check_same({"precision": now}, {"precision": then}, folder=self.plan.folder)
        self.trainer.restore(arrays)
        logger.info("%s resumes after %d candidates", self.plan.name, self.state.seen)
        if self.state.history:
            self.record(self.state.history[-1])

    def train_rung(self) -> None:
        """Train to the end of the present rung."""
        state, saved = self.state, time.monotonic()

        def should_stop() -> bool:
            return self.stop() or time.monotonic() - saved > CHECKPOINT_EVERY_S

        while state.seen < state.target:
            segment = next(self.rungs.segments(state.seen, state.target))
            begun = time.monotonic()
            with self.data.train(segment) as batches:
                summary = fit(self.trainer.model, batches, should_stop=should_stop)
            candidates = summary.batches * segment.batch_size
            if not candidates:
                raise TrialFailed(f"no training candidates in {segment}")
            state.seen += candidates
            state.loss_sum += summary.loss * candidates
            state.loss_count += candidates
            state.rung_seconds += time.monotonic() - begun
            if state.seen < segment.stop:
                self.save()
                saved = time.monotonic()
            self._stop_if_requested()

    def _stop_if_requested(self) -> None:
        """End the trial at a checkpoint if `stop` returns True."""
        if self.stop():
            self.save()
            raise Interrupted(f"{self.plan.name} stopped after {self.state.seen} candidates")

    def evaluate(self) -> dict[str, float]:
        """Measure the network on the validation split; update best weights, rate and stopping."""
        begun = time.monotonic()
        probabilities = self.trainer.predict(self.data, alive=self._stop_if_requested)
        predictions = self._finite(probabilities)
        entry, state = self._measure(predictions), self.state
        state.history.append(entry)
        paired = paired_value(self.name, predictions, value=entry[str(self.name)])
        state.paired_values.append(str(paired))
        state.best = best_report(state.history, self.training.monitor, self.name)
        if state.history[state.best] is entry:
            self.best_weights = self.trainer.evaluated_weights()
            self.best_probabilities = probabilities
        self._wait_for_improvement(entry)
        state.seconds += state.rung_seconds + time.monotonic() - begun
        state.target = self.rungs.next(state.seen)
        state.loss_sum, state.loss_count, state.rung_seconds = 0.0, 0, 0.0
        return entry

    def _wait_for_improvement(self, entry: dict[str, float]) -> None:
        """Stop the training, or lower its learning rate, if it no longer improves."""
        state, early = self.state, self.training.early_stopping
        value = merit(entry, self.training.monitor, self.name)
        state.patience = state.patience.after(
            value, min_delta=0.0 if early is None else early.min_delta, loss=entry["val_loss"]
        )
        state.plateau, factor = on_plateau(self.training.reduce_on_plateau, state.plateau, value)
        if factor != 1.0:
            self.trainer.scale_learning_rate(factor)
        if state.seen >= self.rungs.total:
            state.ended = "all epochs"
        elif stops(early, state.patience):
            state.ended = "early stopping"

    def _finite(self, probabilities: npt.NDArray[np.float32]) -> Predictions:
        if not np.isfinite(probabilities).all():
            raise TrialFailed(
                f"the network's output is not finite after {self.state.seen} candidates"
            )
        return self.data.predictions(probabilities)

    def _measure(self, predictions: Predictions) -> dict[str, float]:
        state, objective = self.state, measure(self.name, predictions)
        previous = int(state.history[-1]["number"]) if state.history else 0
        entry = {
            "number": self.rungs.number(state.seen, previous),
            "candidates_seen": state.seen,
            "loss": state.loss_sum / state.loss_count,
            "val_loss": self.data.loss(predictions, compiled_by=self.trainer.compiled_by),
            LOG_LOSS: log_loss(self.name, predictions),
            "learning_rate": self.trainer.learning_rate,
            "candidates_per_s": state.loss_count / state.rung_seconds,
            str(self.name): objective.value,
            f"{self.name}_low": objective.low,
            f"{self.name}_high": objective.high,
        }
        others = ["auc"] if predictions.has_background else []
        for other in (*others, monitored(self.training.monitor, self.name)):
            if other not in entry:
                entry[other] = measure(parse_objective(other), predictions).value
        if self.objective.constraints:
            entry[BROKEN] = float(sum(each.is_broken for each in self._constraints(predictions)))
        for name, value in entry.items():
            if not math.isfinite(value):
                raise TrialFailed(f"{name} became {value} after {state.seen} candidates")
        return entry

    def _constraints(self, predictions: Predictions) -> list[ConstraintValue]:
        return constraints_of_report(
            self.objective, self.trainer, self.data, predictions, alive=self._stop_if_requested
        )

    def save(self) -> None:
        """Write a checkpoint."""
        arrays = self.trainer.arrays()
        if self.best_weights:
            arrays["best"] = self.best_weights
        state = {
            "training": asdict(self.state),
            "identity": self.identity,
            "precision": self.trainer.precision,
        }
        save_checkpoint(self.plan.folder, Checkpoint(state, arrays))

    def record(self, entry: dict[str, float]) -> None:
        """Record a report's metrics; a report that is recorded already is ignored."""
        step = int(entry["candidates_seen"])
        self.tracker.metrics(_metrics(entry), step=step)

    def is_last(self, entry: dict[str, float]) -> bool:
        """Return whether this is the last report of a training that is over."""
        return bool(self.state.ended) and entry is self.state.history[-1]

    def report(self, entry: dict[str, float], *, done: bool) -> TrialReport:
        """Return a report from the history."""
        history, paired = self.state.history, self.state.paired_values
        index = next(i for i, each in enumerate(history) if each["number"] == entry["number"])
        best = best_report(history[: index + 1], self.training.monitor, self.name)
        return TrialReport(
            number=int(entry["number"]),
            candidates_seen=int(entry["candidates_seen"]),
            metrics=_metrics(entry),
            value=entry[str(self.name)],
            paired_value=paired[index],
            best=history[best][str(self.name)],
            best_number=int(history[best]["number"]),
            best_paired_value=paired[best],
            best_log_loss=history[best][LOG_LOSS],
            done=done,
        )

    def finish(self) -> TrialReport:
        """Write and record the results of the best network; return the last report."""
        result = self.results()
        trial_results.record_results(self.tracker, self.plan.folder, result, step=self.state.seen)
        names = [goal.name for goal in self.objective.goals]
        return replace(
            self.report(self.state.history[-1], done=True),
            others=tuple(trial_results.value_of(result, name) for name in names[1:]),
            intervals=trial_results.intervals_of(result, names),
            parameters=result["parameters"],
            constraints=result.get("constraints", {}),
        )

    def results(self, *, draw: bool = True) -> dict[str, Any]:
        """Write the results of the best network, unless they exist; return `result.json`."""
        folder = self.plan.folder
        result = trial_results.read_result(folder)
        if result is None:
            self.trainer.adopt(self.best_weights)
            probabilities = self.best_probabilities
            if probabilities is None:
                probabilities = self.trainer.predict(self.data, alive=self._stop_if_requested)
            predictions, latencies = self.data.predictions(probabilities), self._latencies()
            output = trial_results.BestModelOutput(
                predictions,
                objectives=[parse_objective(name) for name in self.objective.maximize],
                latencies=latencies,
                sample=SampleLabel.from_dataset(self.plan.experiment.data, "validation split"),
                history=self.state.history,
            )
            facts = self._facts()
            if constraints := self.objective.constraints:
                facts["constraints"] = with_costs(
                    self._constraints(predictions),
                    constraints,
                    latencies,
                    parameters=self.trainer.network.count_params(),
                )
            result = trial_results.write_results(
                folder, self.trainer.network, output, facts=facts, draw=draw
            )
        return result

    def _latencies(self) -> dict[str, Estimate]:
        """Measure the latencies that are objectives or constrained, on validation candidates."""
        trainer, costs = self.trainer, costs_of(self.objective)
        if all(cost.quantity != "latency_us" for cost in costs):
            return {}
        inputs = next(self.data.validation()).inputs
        return latencies(costs, trainer.network, inputs, predictor=trainer.predictor)

    def _facts(self) -> dict[str, Any]:
        state, dataset = self.state, self.data.dataset
        return {
            "name": self.plan.name,
            "seed": self.plan.seed,
            "dataset": dataset.manifest.name,
            "dataset_digest": dataset.digest,
            "dataset_folder": str(dataset.folder),
            "experiment": self.plan.experiment.model_dump(mode="json"),
            "settings_digest": durable.sha256_json(self.identity),
            "candidates_seen": state.seen,
            "epoch_candidates": self.rungs.candidates,
            "reports": len(state.history),
            "best_report": int(state.history[state.best]["number"]),
            "ended": state.ended,
            "seconds": state.seconds,
            "precision": self.trainer.precision,
            METHOD_KEY: METHOD,
        }


class _PrunedTrial(_Trial):
    """A pruned trial with its best weights, which is not trained on."""

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.state = TrainingState.from_json(dict(checkpoint.state["training"]))
        self.state.ended = PRUNED
        self.best_weights = checkpoint.arrays["best"]
        # The weights are float32 in any case, so this machine need not have the worker's GPU.
        self.trainer.precision = checkpoint.state["precision"]


class _NoTracker:
    """Tracker that records nothing: the records of a pruned trial are complete."""

    def start(self, *, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        pass

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        pass

    def artifact(self, path: Path, *, folder: str = "") -> None:
        pass


def write_pruned_results(folder: Path) -> dict[str, Any]:
    """Write the results of a pruned trial from its last checkpoint, unless they exist.

    They are those of its best report, as of a finished trial but without figures, and `ended` is
    `pruned`.

    Args:
        folder: the trial's folder, which the caller has locked.
    Returns:
        the content of `result.json`.
    Raises:
        CorruptError: there is no checkpoint with a report, or none is intact.
        DataError: the prepared dataset can't be read.
        UsageError: the checkpoint is of another training method, or of another dataset.
    """
    trial = _PrunedTrial(read_plan(folder), _NoTracker(), lambda: False)
    if not trial.state.history:
        raise CorruptError(f"{folder}: expected a checkpoint of a pruned trial, with a report")
    return trial.results(draw=False)


def _metrics(entry: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in entry.items() if name != "number"}
